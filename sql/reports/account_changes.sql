-- Purpose:    Who changed what of an account, and when, the last changes first.
-- Reads:      catalog_changes
-- Grain:      one row per change
-- Parameters: customer_id, limit
select changed_at, source, change
from catalog_changes
where customer_id = {customer_id:String}
order by version desc, change
limit {limit:UInt32}
