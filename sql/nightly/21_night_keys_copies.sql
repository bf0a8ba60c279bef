-- Purpose:    Draw in the conversions that share an ingest_id with one listed (R5).
-- Reads:      night_conversions, night_keys, conversions
-- Writes:     night_keys
-- Grain:      one row per key that was not listed
-- Parameters: none
-- Notes:      Which row of an ingest_id counts decides about both keys. It happens only to rows that were written
--             around Tieback. The conversions are taken anew then, until nothing is added. Healthy data
--             costs a look at the ids: the prewhere keeps the rest of the columns from being read.
insert into night_keys (customer_id, api_name, action_id, cause)
select distinct customer_id, api_name, action_id, 'conversion'
from conversions
prewhere ingest_id in (select ingest_id from night_conversions)
where (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
