-- What became of each conversion received: the first reason that applies (R6).
create or replace table plain_conversion_outcomes engine = MergeTree order by ingest_id
as with
    linked as
    (
        select plain_conversions.ingest_id as ingest_id
        from plain_conversions
        inner join plain_links
            on plain_conversions.customer_id = plain_links.customer_id
            and plain_conversions.user_domain = plain_links.user_domain
            and plain_conversions.user_id = plain_links.user_id
        where plain_links.linked_at <= plain_conversions.received_at + toIntervalSecond({clocks_apart_seconds:UInt32})
    )
select
    customer_id,
    toDate(action_at) as conversion_day,
    api_name,
    action_id,
    action_at as converted_at,
    received_at,
    ingest_id,
    multiIf(
        is_duplicate, 'duplicate',
        is_retracted, 'retracted',
        event_id = '', 'event_not_defined',
        (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from plain_links), 'no_identity',
        ingest_id not in (select ingest_id from linked), 'identity_too_late',
        ingest_id not in
        (
            select ingest_id
            from plain_views
            where viewed_at >= action_at - toIntervalDay(if(window_days = 0, {view_lookback_days:UInt32}, window_days))
        ), 'no_view_before',
        ingest_id not in (select ingest_id from plain_attributions), 'session_expired',
        'attributed'
    ) as outcome,
    event_id,
    user_domain,
    user_id,
    value
from plain_conversions
