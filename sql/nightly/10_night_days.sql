-- Purpose:    List the visitor-days that client events have changed since the last run.
-- Reads:      client_events
-- Writes:     night_days
-- Grain:      one row per visitor-day and cause, neighbours without one
-- Parameters: full, visible_since, low, high, whole_from, whole_to, session_gap_minutes
-- Notes:      Changed are the rows that became visible since, and those received between the cutoffs. A
--             row within a gap of midnight may join or part the sessions of two days, so it draws in
--             the other one. Days that are computed whole need no list, nor does a full run.
insert into night_days (customer_id, visitor_id, day, cause)
with changed_days as
(
    select
        customer_id,
        visitor_id,
        toDate(occurred_at) as changed_day,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at
    from client_events
    where {full:UInt8} = 0
        and received_at < {high:DateTime64(3, 'UTC')}
        and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
        and
        (
            toDate(occurred_at) not between {whole_from:Date} and {whole_to:Date}
            or occurred_at < toDateTime64({whole_from:Date}, 3, 'UTC') + toIntervalMinute({session_gap_minutes:UInt32})
            or occurred_at >= toDateTime64({whole_to:Date} + 1, 3, 'UTC') - toIntervalMinute({session_gap_minutes:UInt32})
        )
    group by customer_id, visitor_id, changed_day
)
select
    customer_id,
    visitor_id,
    arrayJoin(arrayDistinct([
        toDate(first_at - toIntervalMinute({session_gap_minutes:UInt32})),
        changed_day,
        toDate(last_at + toIntervalMinute({session_gap_minutes:UInt32}))
    ])) as day,
    if(day = changed_day, 'client_event', '')
from changed_days
where day not between {whole_from:Date} and {whole_to:Date}
