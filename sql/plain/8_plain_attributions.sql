-- The view that gets the credit, for each conversion that counts and each optimization (R4).
create or replace table plain_attributions engine = MergeTree order by ingest_id
as with numbered as
(
    select
        *,
        row_number() over
        (
            partition by ingest_id, optimization_id
            order by viewed_at desc, view_received_at desc, variation_id, visitor_id
        ) as place
    from plain_views
    where is_in_open_session
        and not is_duplicate
        and event_id != ''
)
select
    customer_id,
    toDate(action_at) as conversion_day,
    event_id,
    api_name,
    action_id,
    user_domain,
    user_id,
    action_at as converted_at,
    value,
    optimization_id,
    variation_id,
    visitor_id,
    session_started_at,
    viewed_at,
    ingest_id
from numbered
where place = 1
