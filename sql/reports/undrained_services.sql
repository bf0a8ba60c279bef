-- Purpose:    How many other services may still hold events that they had accepted before a moment.
-- Reads:      service_minutes
-- Grain:      one row
-- Parameters: service, moment
-- Notes:      A service reports each minute, and once its spool is drained after midnight. One that has not for three minutes is taken for dead: what it had
--             accepted lies in its data folder, until a service is started on that.
select count() as services
from
(
    select argMax(at - toIntervalMillisecond(toInt64(1000 * spool_oldest_seconds)), at) as oldest
    from service_minutes
    where at >= now64(3, 'UTC') - toIntervalMinute(3)
        and service_minutes.service != {service:String}
    group by service_minutes.service
)
where oldest < {moment:DateTime64(3, 'UTC')}
