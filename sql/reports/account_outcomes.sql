-- Purpose:    What became of an account's conversions, by day.
-- Reads:      conversion_outcomes
-- Grain:      one row per (day, outcome), the last days first
-- Parameters: customer_id, from_day, to_day
select
    conversion_day as day,
    toString(outcome) as outcome,
    count() as conversions
from conversion_outcomes
where customer_id = {customer_id:String}
    and conversion_day between {from_day:Date} and {to_day:Date}
group by day, outcome
order by day desc, outcome
