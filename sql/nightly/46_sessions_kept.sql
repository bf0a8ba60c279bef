-- Purpose:    Carry over the sessions of the other visitors of the days staged.
-- Reads:      sessions_versions, night_versions, night_days
-- Writes:     sessions_versions
-- Grain:      one row per session
-- Parameters: full, whole_from, whole_to, version
-- Notes:      Of days computed whole nothing is carried over.
insert into sessions_versions
    (customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views,
     chain_started_at, version)
select
    customer_id,
    visitor_id,
    session_day,
    started_at,
    last_event_at,
    expires_at,
    events,
    views,
    chain_started_at,
    {version:UInt64}
from sessions_versions
where {full:UInt8} = 0
    and session_day not between {whole_from:Date} and {whole_to:Date}
    and (session_day, sessions_versions.version)
        in (select night_versions.day, old_version from night_versions where table_name = 'sessions' and night_versions.version = {version:UInt64})
    and (session_day, customer_id, visitor_id) not in (select day, customer_id, visitor_id from night_days)
settings max_insert_threads = 4
