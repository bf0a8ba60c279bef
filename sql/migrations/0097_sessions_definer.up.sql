-- Read with the rights of who made it, so that analysts need none on what is below it.
create or replace view sessions
(
    customer_id LowCardinality(String) comment 'Account',
    visitor_id String comment 'Browser, anonymous',
    session_day Date comment 'UTC day of the start (R7)',
    started_at DateTime64(3, 'UTC') comment 'First event',
    last_event_at DateTime64(3, 'UTC') comment 'Last event',
    expires_at DateTime64(3, 'UTC') comment 'Earlier of last event + 30 min and start + 24 h (R1)',
    events UInt32 comment 'Client events in it, of all types',
    views UInt32 comment 'Views in it'
)
definer = current_user sql security definer
comment 'Sessions of visitors (R1), as last published'
as select customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views
from sessions_versions
where (session_day, version) in (select day, argMax(sessions_version, published_days.version) from published_days group by day)
