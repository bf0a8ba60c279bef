-- Purpose:    Whom each variation of an optimization was shown to, and how many saw several (R9).
-- Reads:      results_visitors
-- Grain:      one row per variation seen
-- Parameters: customer_id, optimization_id, from_day, to_day
select variation_id, visitors, visitors_of_several
from results_visitors
(
    customer_id = {customer_id:String},
    optimization_id = {optimization_id:String},
    from_day = {from_day:Date},
    to_day = {to_day:Date}
)
order by variation_id
