-- Purpose:    List an account's conversions with what became of each, the last ones first.
-- Reads:      conversion_outcomes
-- Grain:      one row per conversion received
-- Parameters: customer_id, from_day, to_day, outcome, limit, offset
-- Notes:      An empty outcome stands for all of them.
select
    conversion_day as day,
    api_name,
    action_id,
    converted_at,
    received_at,
    toString(outcome) as outcome
from conversion_outcomes
where customer_id = {customer_id:String}
    and conversion_day between {from_day:Date} and {to_day:Date}
    and ({outcome:String} = '' or outcome = {outcome:String})
order by converted_at desc, api_name, action_id, received_at, toString(ingest_id)
limit {limit:UInt32} offset {offset:UInt32}
