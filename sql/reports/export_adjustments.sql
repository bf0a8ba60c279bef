-- Purpose:    Every adjustment of an account's conversions, in the order of the table.
-- Reads:      adjustments
-- Grain:      one row per adjustment received; a row that was written twice once
-- Parameters: customer_id, from_day, to_day
select distinct api_name, action_id, toString(kind) as kind, value, adjusted_at, received_at, ingest_id
from adjustments
where customer_id = {customer_id:String}
    and toDate(adjusted_at) between {from_day:Date} and {to_day:Date}
order by customer_id, api_name, action_id, adjusted_at, received_at, ingest_id
