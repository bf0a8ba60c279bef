-- Purpose:    Which of some conversions of an account were received.
-- Reads:      conversions
-- Grain:      one row per (name, action id)
-- Parameters: customer_id, api_names, action_ids
-- Notes:      The two lists belong together, item by item.
select distinct api_name, action_id
from conversions
where customer_id = {customer_id:String}
    and (api_name, action_id) in (select arrayJoin(arrayZip({api_names:Array(String)}, {action_ids:Array(String)})) as asked)
