-- Purpose:    What became of the conversions of an event in a range of days, duplicates and those taken back left out.
-- Reads:      conversion_outcomes
-- Grain:      one row per outcome
-- Parameters: customer_id, event_id, from_day, to_day
select toString(outcome) as outcome, count() as conversions
from conversion_outcomes
where customer_id = {customer_id:String}
    and event_id = {event_id:String}
    and conversion_day between {from_day:Date} and {to_day:Date}
    and outcome not in ('duplicate', 'retracted')
group by outcome
order by conversions desc, outcome
