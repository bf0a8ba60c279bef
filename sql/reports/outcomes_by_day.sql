-- Purpose:    How many conversions of each day had which outcome.
-- Reads:      conversion_outcomes
-- Grain:      one row per (day, outcome), the last days first
-- Parameters: days
select
    conversion_day as day,
    toString(outcome) as outcome,
    count() as conversions
from conversion_outcomes
group by day, outcome
order by day desc, outcome
limit {days:UInt32} * 7
