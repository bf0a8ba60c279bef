-- Purpose:    How many visitors entered optimizations, and how many of them are mature (R11).
-- Reads:      entries
-- Grain:      one row per (account, optimization, segment, day of entry if asked for, variation)
-- Parameters: customer_id, optimization_id, from_day, to_day, segment_name, segment_value, by_attribute, by_day, cutoff, windows
-- Notes:      An empty account or optimization means all, an empty attribute none. Mature has a number for each window, in their order.
--             Who entered at midnight sharp goes with the day before, since the windows of both are over at the same midnight.
select
    customer_id,
    optimization_id,
    if({by_attribute:String} = '', '', attributes[{by_attribute:String}]) as segment,
    if({by_day:UInt8} = 1, toDate(entered_at - toIntervalMillisecond(1)), toDate(0)) as entry_day,
    variation_id,
    count() as entered,
    countIf(saw_another = 1) as saw_another,
    countIf(entered_at >= {cutoff:DateTime64(3, 'UTC')} - toIntervalDay(14)) as entered_lately,
    countIf(entered_at >= {cutoff:DateTime64(3, 'UTC')} - toIntervalDay(7)) as entered_this_week,
    sumForEach(arrayMap(window_days -> toUInt64(entered_at <= {cutoff:DateTime64(3, 'UTC')} - toIntervalDay(window_days)), {windows:Array(UInt16)})) as mature
from entries
where ({customer_id:String} = '' or customer_id = {customer_id:String})
    and ({optimization_id:String} = '' or optimization_id = {optimization_id:String})
    and day between {from_day:Date} and {to_day:Date}
    and ({segment_name:String} = '' or attributes[{segment_name:String}] = {segment_value:String})
group by customer_id, optimization_id, segment, entry_day, variation_id
order by customer_id, optimization_id, segment, entry_day, variation_id
