-- Purpose:    Everything that backends of an account reported, in the order of the table.
-- Reads:      conversions
-- Grain:      one row per conversion received; a row that was written twice once
-- Parameters: customer_id, from_day, to_day
select distinct api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id
from conversions
where customer_id = {customer_id:String}
    and toDate(action_at) between {from_day:Date} and {to_day:Date}
order by customer_id, api_name, action_id, received_at, ingest_id
