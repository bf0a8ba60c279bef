-- Purpose:    How many attributions of an optimization came and went since a run, on the days before its cutoff, and why.
-- Reads:      run_changes, run_log
-- Grain:      one row per (event, set of causes); value_moved where the value changed of as many attributions
-- Parameters: customer_id, optimization_id, run_id, cutoff
-- Notes:      What one run took and a later one brought back is none. A cutoff is taken as the midnight that it is.
with net as
(
    select
        event_id,
        day,
        variation_id,
        sum(toInt64(conversions_after) - toInt64(conversions_before)) as more,
        sum(value_after - value_before) as value_more,
        arraySort(groupUniqArrayArray(causes)) as all_causes,
        max(run_changes.run_id) as last_run_id
    from run_changes
    where customer_id = {customer_id:String}
        and optimization_id = {optimization_id:String}
        and event_id != ''
        and day < toDate({cutoff:DateTime64(3, 'UTC')})
        and run_changes.run_id > {run_id:String}
        and run_changes.run_id in (select run_log.run_id from run_log where state = 'done')
    group by event_id, day, variation_id
)
select
    event_id,
    all_causes as causes,
    sum(greatest(more, 0)) as came,
    sum(greatest(-more, 0)) as went,
    toUInt8(max(more = 0 and value_more != 0)) as value_moved,
    max(net.last_run_id) as last_run_id
from net
where more != 0 or value_more != 0
group by event_id, causes
order by came + went desc, causes
