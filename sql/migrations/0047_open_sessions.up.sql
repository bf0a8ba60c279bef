-- The sessions that were open when a day ended (R1), from its parts of one version.
create or replace view open_sessions
comment 'Sessions open at the end of a day: open_sessions(day = …, version = …)'
as select customer_id, visitor_id, started_at, expires_at
from sessions_versions
where day = {day:Date}
    and version = {version:UInt64}
    and expires_at > toDateTime64({day:Date} + 1, 3, 'UTC')
