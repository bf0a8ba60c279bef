-- Purpose:    List the visitors whose next day changes, since their session that was open at midnight did.
-- Reads:      sessions_versions, client_events, night_visitor_days
-- Writes:     night_visitor_days
-- Runs:       shards
-- Grain:      one row per visitor-day that was not listed
-- Parameters: day, version, version_of_day, session_gap_minutes
-- Notes:      A session that is in both versions is open twice. Only who came within a gap of midnight can have gone on.
insert into night_visitor_days (customer_id, visitor_id, day, cause)
with changed as
(
    select customer_id, visitor_id
    from sessions_versions
    where day = {day:Date}
        and sessions_versions.version in ({version:UInt64}, {version_of_day:UInt64})
        and expires_at > toDateTime64({day:Date} + 1, 3, 'UTC')
    group by customer_id, visitor_id, started_at, expires_at
    having count() = 1
)
select distinct customer_id, visitor_id, {day:Date} + 1, ''
from client_events
where toDate(occurred_at) = {day:Date} + 1
    and occurred_at < toDateTime64({day:Date} + 1, 3, 'UTC') + toIntervalMinute({session_gap_minutes:UInt32})
    and (customer_id, visitor_id) in (select customer_id, visitor_id from changed)
    and (customer_id, visitor_id) not in (select customer_id, visitor_id from night_visitor_days where day = {day:Date} + 1)
