-- Purpose:    What is attributed to each variation of an optimization, per event (R9).
-- Reads:      results_conversions
-- Grain:      one row per (variation, event) with an attribution
-- Parameters: customer_id, optimization_id, from_day, to_day
select
    variation_id,
    event_id,
    conversions,
    converters,
    converting_users,
    conversions_not_exposed,
    conversions_with_value,
    value_total,
    toFloat64(value_total - value_not_exposed) as value_exposed,
    value_squares
from results_conversions
(
    customer_id = {customer_id:String},
    optimization_id = {optimization_id:String},
    from_day = {from_day:Date},
    to_day = {to_day:Date}
)
order by variation_id, event_id
