-- Every view before a conversion by a visitor who was linked in time (R2), once for each session of that visitor, and whether it is
-- in that session and the session was open at the conversion, or under a rule of days whether it is in its window (R4).
create or replace table plain_views engine = MergeTree order by ingest_id
as with
    linked as
    (
        select plain_conversions.*, plain_links.visitor_id as visitor_id
        from plain_conversions
        inner join plain_links
            on plain_conversions.customer_id = plain_links.customer_id
            and plain_conversions.user_domain = plain_links.user_domain
            and plain_conversions.user_id = plain_links.user_id
        where plain_links.linked_at <= plain_conversions.received_at + toIntervalSecond({clocks_apart_seconds:UInt32})
    ),
    before as
    (
        select
            linked.*,
            plain_events.optimization_id as optimization_id,
            plain_events.variation_id as variation_id,
            plain_events.occurred_at as viewed_at,
            plain_events.received_at as view_received_at
        from linked
        inner join plain_events
            on linked.customer_id = plain_events.customer_id
            and linked.visitor_id = plain_events.visitor_id
        where plain_events.type = 'view'
            and plain_events.occurred_at < linked.action_at
    )
select
    before.*,
    plain_sessions.started_at as session_started_at,
    plain_sessions.started_at <= before.action_at
        and before.action_at < plain_sessions.expires_at
        and before.viewed_at >= plain_sessions.started_at as is_in_open_session,
    before.viewed_at >= before.action_at - toIntervalDay(before.window_days) as is_in_window
from before
left join
(
    select customer_id, visitor_id, started_at, expires_at from plain_sessions
) as plain_sessions
    on before.customer_id = plain_sessions.customer_id
    and before.visitor_id = plain_sessions.visitor_id
