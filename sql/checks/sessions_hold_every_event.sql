-- Purpose:    Whether the sessions of a day hold every client event once (R1, R5).
-- Reads:      client_events, sessions_versions
-- Runs:       shards
-- Parameters: day, version, cutoff, settled_before
-- Notes:      Run for the days whose sessions hold another number of events than there are rows (day_has_copies). Events that
--             became visible while the run was under way, or were on their way in when it began, may be in them or not.
with
    (select sum(events) from sessions_versions where day = {day:Date} and version = {version:UInt64}) as in_sessions,
    looked_back as
    (
        select
            inserted_at < {settled_before:DateTime64(3, 'UTC')} as was_visible,
            occurred_at = lagInFrame(occurred_at) over visitor and ingest_id = lagInFrame(ingest_id) over visitor as is_copy
        from client_events
        where toDate(occurred_at) = {day:Date} and received_at < {cutoff:DateTime64(3, 'UTC')}
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, inserted_at
            rows between 1 preceding and current row
        )
    )
select in_sessions, countIf(not is_copy) as received, countIf(not is_copy and was_visible) as received_before
from looked_back
having in_sessions > received or in_sessions < received_before
settings max_threads = 1, optimize_read_in_window_order = 1
