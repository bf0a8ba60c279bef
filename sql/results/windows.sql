-- Purpose:    For how many days after an entry conversions count, by goal (R11): as the last run saw the rules at its cutoff.
-- Reads:      goals, run_rules
-- Grain:      one row per goal
-- Parameters: customer_id, optimization_id, cutoff, version
-- Notes:      An empty account or optimization means all. Under session, and where no rule was set, it is one day.
select goals.customer_id as customer_id, goals.optimization_id as optimization_id, goals.event_id as event_id, toUInt16(greatest(rules.window_days, 1)) as window_days
from goals
left join
(
    select customer_id, event_id, window_days
    from run_rules
    where run_rules.version = {version:UInt64}
        and valid_from <= {cutoff:DateTime64(3, 'UTC')}
        and {cutoff:DateTime64(3, 'UTC')} < ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC'))
) as rules
    on goals.customer_id = rules.customer_id
    and goals.event_id = rules.event_id
where ({customer_id:String} = '' or goals.customer_id = {customer_id:String})
    and ({optimization_id:String} = '' or goals.optimization_id = {optimization_id:String})
order by customer_id, optimization_id, event_id
