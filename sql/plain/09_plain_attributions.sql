-- The view that gets the credit, for each conversion that counts and each optimization (R4).
create or replace table plain_attributions engine = MergeTree order by ingest_id
as with numbered as
(
    select
        *,
        row_number() over
        (
            partition by ingest_id, optimization_id
            order by
                if(credit = 'last', -1, 1) * toUnixTimestamp64Milli(viewed_at),
                if(credit = 'last', -1, 1) * toUnixTimestamp64Milli(view_received_at),
                variation_id,
                visitor_id
        ) as place
    from plain_views
    where if(window_days = 0, is_in_open_session, is_in_window)
        and not is_duplicate
        and not is_retracted
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
    credited_value as value,
    optimization_id,
    variation_id,
    visitor_id,
    if(window_days = 0, session_started_at, null) as session_started_at,
    viewed_at,
    ingest_id
from numbered
where place = 1
