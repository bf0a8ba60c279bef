-- Purpose:    Draw in the conversions that share an ingest_id with one listed (R5).
-- Reads:      night_keys, conversions
-- Writes:     night_keys
-- Grain:      one row per key that was not listed
-- Parameters: full
-- Notes:      Which row of an ingest_id counts decides about both keys. It happens only to rows that were written
--             around Tieback. Repeated until nothing is added.
insert into night_keys (customer_id, api_name, action_id, cause)
select distinct customer_id, api_name, action_id, 'conversion'
from conversions
where {full:UInt8} = 0
    and ingest_id in
    (
        select ingest_id
        from conversions
        where (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys)
    )
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
