-- Purpose:    How an optimization's figures went, day by day (R9 of each day by itself).
-- Reads:      results_daily
-- Grain:      one row per (day, variation); days on which nothing happened have none
-- Parameters: customer_id, optimization_id, event_id, from_day, to_day
-- Notes:      A visitor of two days counts on each, so days don't add up to a range.
select day, variation_id, visitors, conversions, converters
from results_daily
(
    customer_id = {customer_id:String},
    optimization_id = {optimization_id:String},
    from_day = {from_day:Date},
    to_day = {to_day:Date}
)
where event_id = {event_id:String}
order by day, variation_id
