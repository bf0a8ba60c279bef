-- Purpose:    Which services have reported in the last day, and how each stands.
-- Reads:      service_minutes
-- Grain:      one row per service, the one that reported last first
-- Parameters: none
select
    service_minutes.service as service,
    argMax(host, at) as last_host,
    max(at) as last_at,
    argMax(spool_oldest_seconds, at) as waiting_seconds,
    dateDiff('second', last_at, now64(3, 'UTC')) as silent_seconds
from service_minutes
where at >= now64(3, 'UTC') - toIntervalDay(1)
group by service
order by last_at desc, service
