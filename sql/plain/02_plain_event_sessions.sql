-- Each event with the start of its session (R1). Walk a visitor's events in order: one that comes a gap after the event before, or
-- the cap after the start of the session, starts the next session.
create or replace table plain_event_sessions engine = MergeTree order by (customer_id, visitor_id, occurred_at)
as with
    toIntervalMinute({session_gap_minutes:UInt32}) as gap,
    toIntervalHour({session_cap_hours:UInt32}) as cap,
    walks as
    (
        select
            customer_id,
            visitor_id,
            arraySort(event -> event.1, groupArray((occurred_at, type = 'view'))) as events,
            arrayMap(event -> event.1, events) as moments,
            arrayFold
            (
                (starts, moment, moment_before) ->
                    arrayPushBack(starts, if(empty(starts) or moment >= moment_before + gap or moment >= starts[-1] + cap, moment, starts[-1])),
                moments,
                arrayPushFront(arrayPopBack(moments), moments[1]),
                emptyArrayDateTime()::Array(DateTime64(3, 'UTC'))
            ) as starts
        from plain_events
        group by customer_id, visitor_id
    )
select
    customer_id,
    visitor_id,
    event.1 as occurred_at,
    event.2 as is_view,
    session_started_at
from walks
array join
    events as event,
    starts as session_started_at
