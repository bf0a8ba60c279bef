-- Sessions (R1), of the day of their start (R7).
create or replace table plain_sessions engine = MergeTree order by (customer_id, visitor_id, started_at)
as select
    customer_id,
    visitor_id,
    toDate(session_started_at) as session_day,
    session_started_at as started_at,
    max(occurred_at) as last_event_at,
    least(last_event_at + toIntervalMinute({session_gap_minutes:UInt32}), started_at + toIntervalHour({session_cap_hours:UInt32})) as expires_at,
    count() as events,
    countIf(is_view) as views
from plain_event_sessions
group by customer_id, visitor_id, session_started_at
