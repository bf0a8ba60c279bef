-- Purpose:    Names of conversions that no event bore, with how many conversions came under each.
-- Reads:      conversion_outcomes
-- Grain:      one row per (account, name), the most frequent ones first, 10 at most
-- Parameters: customer_id, from_day
-- Notes:      An empty customer_id stands for all accounts.
select customer_id, api_name, count() as conversions, max(converted_at) as last_converted_at
from conversion_outcomes
where ({customer_id:String} = '' or customer_id = {customer_id:String})
    and conversion_day >= {from_day:Date}
    and outcome = 'event_not_defined'
group by customer_id, api_name
order by conversions desc, customer_id, api_name
limit 10
