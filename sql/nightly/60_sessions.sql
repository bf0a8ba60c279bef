-- Purpose:    Stage the sessions of the days asked for.
-- Reads:      night_sessions
-- Writes:     sessions_versions
-- Grain:      one row per session, of the UTC day of its start (R7)
-- Parameters: from_day, to_day, version
-- Notes:      Readers see them once published_days names the version.
insert into sessions_versions
    (customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views, version)
select
    customer_id,
    visitor_id,
    toDate(started_at) as session_day,
    started_at,
    last_event_at,
    expires_at,
    events,
    views,
    {version:UInt64}
from night_sessions
where session_day between {from_day:Date} and {to_day:Date}
