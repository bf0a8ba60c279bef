-- Purpose:    Stage the sessions that stretches of events beyond the cap are cut into (R1).
-- Reads:      night_long_moments, night_long_starts
-- Writes:     sessions_versions
-- Grain:      one row per session, of the UTC day of its start (R7)
-- Parameters: version, session_gap_minutes, session_cap_hours
-- Notes:      Only where there are any.
insert into sessions_versions
    (customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views,
     chain_started_at, version)
with
    long_sessions as
    (
        select
            night_long_moments.customer_id as customer_id,
            night_long_moments.visitor_id as visitor_id,
            night_long_starts.start_at as started_at,
            max(night_long_moments.at) as last_event_at,
            count() as events,
            countIf(night_long_moments.is_view) as views,
            night_long_moments.stretch_at as chain_started_at
        from night_long_moments
        asof inner join night_long_starts
            on night_long_moments.customer_id = night_long_starts.customer_id
            and night_long_moments.visitor_id = night_long_starts.visitor_id
            and night_long_moments.stretch_at = night_long_starts.stretch_at
            and night_long_moments.at >= night_long_starts.start_at
        group by customer_id, visitor_id, chain_started_at, started_at
    )
select
    customer_id,
    visitor_id,
    toDate(started_at),
    started_at,
    last_event_at,
    least(
        last_event_at + toIntervalMinute({session_gap_minutes:UInt32}),
        started_at + toIntervalHour({session_cap_hours:UInt32})
    ),
    events,
    views,
    chain_started_at,
    {version:UInt64}
from long_sessions
