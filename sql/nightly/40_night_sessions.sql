-- Purpose:    Cut each visitor's client events into sessions (R1).
-- Reads:      night_events
-- Writes:     night_sessions
-- Grain:      one row per session that starts on one of the days asked for, or on the day before
-- Parameters: from_day, to_day, session_gap_minutes, session_cap_hours
-- Notes:      A stretch is a run of events without a gap. The cap is greedy: where a session starts
--             depends on where the one before it did, which no cumulative sum can say, so the starts
--             within a stretch are folded. Events from to_day + 2 days on can't belong to a session
--             that starts by to_day.
insert into night_sessions (customer_id, visitor_id, started_at, last_event_at, expires_at, events, views)
with
    {session_gap_minutes:UInt32} * 60000 as gap_ms,
    {session_cap_hours:UInt32} * 3600000 as cap_ms,
    moments as
    (
        select
            customer_id,
            visitor_id,
            toUnixTimestamp64Milli(occurred_at) as at_ms,
            type = 'view' as is_view
        from night_events
        where occurred_at < toDateTime64({to_day:Date} + 2, 3, 'UTC')
    ),
    -- Look back: the moment before, if any.
    moments_before as
    (
        select
            *,
            row_number() over visitor_in_order as position,
            lagInFrame(at_ms) over visitor_in_order as previous_ms
        from moments
        window visitor_in_order as
        (
            partition by customer_id, visitor_id order by at_ms
            rows between unbounded preceding and current row
        )
    ),
    -- Measure the gap, mark where a stretch starts, number the stretches.
    stretches_numbered as
    (
        select
            *,
            sum(position = 1 or at_ms - previous_ms >= gap_ms) over
            (
                partition by customer_id, visitor_id order by position
                rows between unbounded preceding and current row
            ) as stretch
        from moments_before
    ),
    stretches as
    (
        select
            customer_id,
            visitor_id,
            arraySort(groupArray((at_ms, is_view))) as stretch_moments
        from stretches_numbered
        group by customer_id, visitor_id, stretch
    ),
    -- Apply the cap: the first moment at or after start + cap starts the next session.
    sessions_started as
    (
        select
            customer_id,
            visitor_id,
            stretch_moments,
            arrayFold(
                (starts, moment) ->
                    if(moment.1 >= starts[-1] + cap_ms, arrayPushBack(starts, moment.1), starts),
                stretch_moments,
                [stretch_moments[1].1]
            ) as starts
        from stretches
    ),
    sessions_cut as
    (
        select
            customer_id,
            visitor_id,
            start_ms,
            arrayFilter(
                moment -> moment.1 >= start_ms and (next_start_ms = 0 or moment.1 < next_start_ms),
                stretch_moments
            ) as session_moments
        from sessions_started
        array join
            starts as start_ms,
            arrayPushBack(arrayPopFront(starts), 0) as next_start_ms
    )
select
    customer_id,
    visitor_id,
    fromUnixTimestamp64Milli(start_ms, 'UTC') as started_at,
    fromUnixTimestamp64Milli(session_moments[-1].1, 'UTC') as last_event_at,
    fromUnixTimestamp64Milli(least(session_moments[-1].1 + gap_ms, start_ms + cap_ms), 'UTC') as expires_at,
    length(session_moments) as events,
    arraySum(moment -> moment.2, session_moments) as views
from sessions_cut
where toDate(started_at) between {from_day:Date} - 1 and {to_day:Date}
