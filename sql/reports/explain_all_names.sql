-- Purpose:    All names that events of an account bore.
-- Reads:      event_names
-- Grain:      one row per name
-- Parameters: customer_id
select distinct api_name
from event_names
where customer_id = {customer_id:String}
order by api_name
