-- Purpose:    Cut each visitor's client events into sessions (R1).
-- Reads:      night_events
-- Writes:     night_sessions
-- Grain:      one row per session that starts on one of the days asked for, or on the day before
-- Parameters: from_day, to_day, session_gap_minutes, session_cap_hours
-- Notes:      A stretch is a run of events without a gap. Its first session is what lies within the
--             cap of its start. The cap is greedy: where the next one starts depends on where the one
--             before it did, which no cumulative sum can say, so what lies beyond the cap, of the few
--             stretches that are so long, is gathered and cut session by session. Events from
--             to_day + 2 days on can't belong to a session that starts by to_day.
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
    -- Measure the gap, mark where a stretch starts, carry its start along.
    stretches_marked as
    (
        select
            *,
            max(if(position = 1 or at_ms - previous_ms >= gap_ms, at_ms, 0)) over
            (
                partition by customer_id, visitor_id order by position
                rows between unbounded preceding and current row
            ) as stretch_ms
        from moments_before
    ),
    stretches as
    (
        select
            customer_id,
            visitor_id,
            stretch_ms,
            maxIf(at_ms, at_ms < stretch_ms + cap_ms) as last_ms,
            countIf(at_ms < stretch_ms + cap_ms) as events,
            countIf(is_view and at_ms < stretch_ms + cap_ms) as views,
            arraySort(groupArrayIf((at_ms, is_view), at_ms >= stretch_ms + cap_ms)) as beyond
        from stretches_marked
        group by customer_id, visitor_id, stretch_ms
    ),
    -- Apply the cap: the first moment at or after start + cap starts the next session.
    later_sessions_started as
    (
        select
            *,
            arrayMap(moment -> moment.1, beyond) as beyond_ms,
            if(
                empty(beyond),
                emptyArrayInt64(),
                arrayFold(
                    (starts, session) -> if(
                        beyond_ms[-1] >= starts[-1] + cap_ms,
                        arrayPushBack(starts, arrayFirst(moment_ms -> moment_ms >= starts[-1] + cap_ms, beyond_ms)),
                        starts
                    ),
                    range(toUInt32(if(empty(beyond), 0, intDiv(beyond_ms[-1] - beyond_ms[1], cap_ms)))),
                    [beyond_ms[1]]
                )
            ) as later_starts
        from stretches
    ),
    sessions_cut as
    (
        select
            customer_id,
            visitor_id,
            start_ms,
            start_ms = stretch_ms as is_first,
            arrayFilter(
                moment -> moment.1 >= start_ms and (next_start_ms = 0 or moment.1 < next_start_ms),
                beyond
            ) as later_moments,
            if(is_first, last_ms, later_moments[-1].1) as session_last_ms,
            if(is_first, events, length(later_moments)) as session_events,
            if(is_first, views, arraySum(moment -> moment.2, later_moments)) as session_views
        from later_sessions_started
        array join
            arrayPushFront(later_starts, stretch_ms) as start_ms,
            arrayPushBack(later_starts, 0) as next_start_ms
    )
select
    customer_id,
    visitor_id,
    fromUnixTimestamp64Milli(start_ms, 'UTC') as started_at,
    fromUnixTimestamp64Milli(session_last_ms, 'UTC') as last_event_at,
    fromUnixTimestamp64Milli(least(session_last_ms + gap_ms, start_ms + cap_ms), 'UTC') as expires_at,
    session_events,
    session_views
from sessions_cut
where toDate(started_at) between {from_day:Date} - 1 and {to_day:Date}
