-- Purpose:    Say on which days the conversions to decide lie.
-- Reads:      conversions, night_keys
-- Writes:     night_key_days
-- Grain:      one row per (account, name, action id, day)
-- Parameters: none
-- Notes:      All copies of a key, whenever received: those behind the cutoff may be published yet. This is the one
--             step that looks through the conversions of all years, and it reads their action ids alone: the prewhere
--             keeps the rest from being read. The steps after it read the days found.
insert into night_key_days (customer_id, api_name, action_id, day)
select distinct customer_id, api_name, action_id, toDate(action_at)
from conversions
prewhere action_id in (select action_id from night_keys)
where (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys)
