-- Purpose:    What became of all accounts' conversions of a day.
-- Reads:      conversion_outcomes
-- Grain:      one row per outcome
-- Parameters: day
select toString(outcome) as outcome, count() as conversions
from conversion_outcomes
where conversion_day = {day:Date}
group by outcome
order by outcome
