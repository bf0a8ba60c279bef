-- Purpose:    Why runs since have computed days of an account before a moment.
-- Reads:      run_days, run_log
-- Grain:      one row per cause
-- Parameters: customer_id, run_id, moment
select distinct toString(cause) as cause
from run_days
where customer_id = {customer_id:String}
    and run_days.run_id > {run_id:String}
    and cause not in ('rerun', 'full')
    and day < toDate({moment:DateTime64(3, 'UTC')})
    and run_days.run_id in (select run_log.run_id from run_log where state = 'done')
order by cause
