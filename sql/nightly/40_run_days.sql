-- Purpose:    Note why each day is computed again.
-- Reads:      night_days, erased_keys, night_keys, night_conversions, night_versions
-- Writes:     run_days
-- Runs:       home
-- Grain:      one row per (account, day, cause)
-- Parameters: full, run_id, cutoff, range_from, range_to
-- Notes:      A full run, and the days of a range, have a row a day for all accounts.
insert into run_days (run_id, customer_id, day, cause, items, cutoff)
with reasons as
(
    select customer_id, day, toString(night_days.cause) as cause, sum(night_days.items) as items
    from night_days
    group by customer_id, day, cause
    union all
    select customer_id, day, 'erasure', uniqExact(api_name, action_id)
    from erased_keys
    where is_deleted = 1
    group by customer_id, day
    union all
    select night_keys.customer_id, toDate(night_conversions.converted_at) as day, night_keys.cause, uniqExact(night_keys.api_name, night_keys.action_id)
    from night_keys
    inner join night_conversions
        on night_keys.customer_id = night_conversions.customer_id
        and night_keys.api_name = night_conversions.api_name
        and night_keys.action_id = night_conversions.action_id
    where night_keys.cause != 'rerun'
    group by night_keys.customer_id, day, night_keys.cause
    union all
    select '', day, if({full:UInt8} = 1, 'full', 'rerun'), toUInt64(0)
    from night_versions
    where {full:UInt8} = 1 or day between {range_from:Date} and {range_to:Date}
    group by day
)
select {run_id:String}, customer_id, day, cause, sum(items), {cutoff:DateTime64(3, 'UTC')}
from reasons
group by customer_id, day, cause
