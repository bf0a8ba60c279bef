-- Purpose:    Sessions of a day that came over midnight, and were not open then as the day before is published (R1).
-- Reads:      sessions_versions, night_versions, open_sessions
-- Parameters: day, version_now, version_before
select customer_id, visitor_id, started_at, last_event_at
from sessions_versions
where day = {day:Date}
    and version = {version_now:UInt64}
    and started_at < toDateTime64({day:Date}, 3, 'UTC')
    and (customer_id, visitor_id, started_at) not in
    (
        select customer_id, visitor_id, started_at
        from open_sessions(day = {day:Date} - 1, version = {version_before:UInt64})
    )
order by customer_id, visitor_id, started_at
