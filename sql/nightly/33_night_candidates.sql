-- Purpose:    List the visitors that each conversion may be attributed to (R2), and from when on their views count (R4).
-- Reads:      night_conversions, night_links, sessions_versions, night_versions
-- Writes:     night_candidates
-- Grain:      one row per (conversion that counts and has an event, visitor linked in time)
-- Parameters: clocks_apart_seconds
-- Notes:      Sessions of a visitor never overlap, so the last one that started by then is the only one that can be open. It
--             has a part on the day of the conversion or on the day before. An attribution rule decides views_from.
insert into night_candidates (ingest_id, customer_id, visitor_id, converted_at, views_from, session_started_at)
with
    linked as
    (
        select
            night_conversions.ingest_id as ingest_id,
            night_conversions.customer_id as customer_id,
            night_links.visitor_id as visitor_id,
            night_conversions.converted_at as converted_at
        from night_conversions
        inner join night_links
            on night_conversions.customer_id = night_links.customer_id
            and night_conversions.user_domain = night_links.user_domain
            and night_conversions.user_id = night_links.user_id
        where night_conversions.is_duplicate = 0
            and night_conversions.event_id != ''
            and night_links.linked_at <= night_conversions.received_at + toIntervalSecond({clocks_apart_seconds:UInt32})
    ),
    sessions_near as
    (
        select customer_id, visitor_id, started_at, max(expires_at) as open_until
        from sessions_versions
        where (day, sessions_versions.version) in (select day, night_versions.version from night_versions where table_name = 'sessions_versions')
            and day in (select arrayJoin([toDate(converted_at), toDate(converted_at) - 1]) from night_conversions)
            and (customer_id, visitor_id) in (select customer_id, visitor_id from night_links)
        group by customer_id, visitor_id, started_at
    )
select
    linked.ingest_id,
    linked.customer_id,
    linked.visitor_id,
    linked.converted_at,
    session_started_at,
    if(linked.converted_at < sessions_near.open_until, sessions_near.started_at, null) as session_started_at
from linked
asof left join sessions_near
    on linked.customer_id = sessions_near.customer_id
    and linked.visitor_id = sessions_near.visitor_id
    and linked.converted_at >= sessions_near.started_at
