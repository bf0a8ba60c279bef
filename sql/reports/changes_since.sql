-- Purpose:    How many attributions of an optimization came and went after a run, on days published before, and why.
-- Reads:      run_changes, run_log
-- Grain:      one row per (event, set of causes)
-- Parameters: customer_id, optimization_id, run_id
select
    event_id,
    causes,
    sum(greatest(toInt64(conversions_after) - toInt64(conversions_before), 0)) as came,
    sum(greatest(toInt64(conversions_before) - toInt64(conversions_after), 0)) as went,
    max(run_id) as last_run_id
from run_changes
where customer_id = {customer_id:String}
    and optimization_id = {optimization_id:String}
    and event_id != ''
    and run_id > {run_id:String}
    and run_id in (select run_log.run_id from run_log where state = 'done')
group by event_id, causes
order by came + went desc, causes
