-- Purpose:    Sessions that overlap the next one of their visitor, outlast the cap, end before they start, or have events of another
--             day (R1).
-- Reads:      sessions_versions
-- Runs:       shards
-- Parameters: first_day, last_day, version, session_cap_hours
-- Notes:      The next part may be of the same session. One thread reads the sessions in the order of the table; several would sort
--             all of them in memory.
with followed as
(
    select
        customer_id,
        visitor_id,
        day,
        started_at,
        last_event_at,
        expires_at,
        leadInFrame(started_at, 1, expires_at) over
        (
            partition by customer_id, visitor_id order by started_at
            rows between current row and 1 following
        ) as next_started_at
    from sessions_versions
    where day between {first_day:Date} and {last_day:Date}
        and version = {version:UInt64}
)
select customer_id, visitor_id, started_at, last_event_at, expires_at, next_started_at
from followed
where next_started_at < expires_at and next_started_at != started_at
    or last_event_at < started_at
    or last_event_at >= expires_at
    or expires_at > started_at + toIntervalHour({session_cap_hours:UInt32})
    or toDate(last_event_at) != day
order by customer_id, visitor_id, started_at
settings max_threads = 1, optimize_read_in_window_order = 1
