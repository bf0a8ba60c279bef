-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
-- Nearly all sessions have one part; those that met a midnight may have two, which are put together. The versions are a scalar, which is
-- looked up once for both branches: a publication in between must not show half a day.
-- Lives:      shards
create or replace view sessions
(
    customer_id LowCardinality(String) comment 'Account',
    visitor_id String comment 'Browser, anonymous',
    session_day Date comment 'UTC day of the start (R7)',
    started_at DateTime64(3, 'UTC') comment 'First event',
    last_event_at DateTime64(3, 'UTC') comment 'Last event',
    expires_at DateTime64(3, 'UTC') comment 'Until when it is open, without another event (R1)',
    events UInt32 comment 'Client events in it, of all types',
    views UInt32 comment 'Views in it'
)
definer = current_user sql security definer
comment 'Sessions of visitors (R1), as last published'
as with
    (
        select groupArray((day, version))
        from (select day, max(published_days.version) as version from published_days where table_name = 'sessions_versions' group by day)
    ) as seen,
    parts as
    (
        select
            customer_id,
            visitor_id,
            day,
            started_at,
            last_event_at,
            expires_at,
            events,
            views,
            started_at < toDateTime64(day, 3, 'UTC') or expires_at > toDateTime64(day + 1, 3, 'UTC') as meets_midnight
        from sessions_versions
        where has(seen, (day, version))
    )
select customer_id, visitor_id, day as session_day, started_at, last_event_at, expires_at, events, views
from parts
where not meets_midnight
union all
select
    customer_id,
    visitor_id,
    toDate(started_at),
    started_at,
    max(last_event_at),
    max(expires_at),
    toUInt32(sum(events)),
    toUInt32(sum(views))
from parts
where meets_midnight
group by customer_id, visitor_id, started_at
