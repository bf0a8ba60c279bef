-- Purpose:    Follow the sessions of the stretches that reach the cap, one further each time (R1).
-- Reads:      sessions_versions, night_long_moments, night_long_starts
-- Writes:     night_long_starts
-- Grain:      one row per session
-- Parameters: hop, version, session_gap_minutes, session_cap_hours, long_day
-- Notes:      The cap is greedy: where a session starts depends on where the one before it did. Hop 0 is the start of
--             the stretch; repeated until nothing is added. A stretch has no gap, so its next session starts within a
--             gap's length after the cap of the one before: by those hours the moments are found in their order.
insert into night_long_starts (customer_id, visitor_id, stretch_at, start_at, hop)
with
    capped as
    (
        select customer_id, visitor_id, stretch_at, start_at + toIntervalHour({session_cap_hours:UInt32}) as cap_at
        from night_long_starts
        where hop + 1 = {hop:UInt32}
    )
select customer_id, visitor_id, started_at, started_at, {hop:UInt32}
from sessions_versions
where {hop:UInt32} = 0
    and session_day = {long_day:Date}
    and version = {version:UInt64}
union all
select
    night_long_moments.customer_id,
    night_long_moments.visitor_id,
    night_long_moments.stretch_at,
    min(night_long_moments.at),
    {hop:UInt32}
from night_long_moments
inner join capped
    on night_long_moments.customer_id = capped.customer_id
    and night_long_moments.visitor_id = capped.visitor_id
    and night_long_moments.stretch_at = capped.stretch_at
where night_long_moments.at >= capped.cap_at
    and (night_long_moments.customer_id, night_long_moments.visitor_id, night_long_moments.stretch_at, toStartOfHour(night_long_moments.at)) in
    (
        select
            customer_id,
            visitor_id,
            stretch_at,
            arrayJoin([toStartOfHour(cap_at), toStartOfHour(cap_at + toIntervalMinute({session_gap_minutes:UInt32}))])
        from capped
    )
group by
    night_long_moments.customer_id,
    night_long_moments.visitor_id,
    night_long_moments.stretch_at
