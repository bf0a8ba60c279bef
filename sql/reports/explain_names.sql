-- Purpose:    When events of an account bore a name, or bear it.
-- Reads:      event_names
-- Grain:      one row per (event, interval)
-- Parameters: customer_id, api_name
select event_id, valid_from, valid_to
from event_names
where customer_id = {customer_id:String}
    and api_name = {api_name:String}
order by valid_from, event_id
