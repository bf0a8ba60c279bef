-- Purpose:    The adjustments of a conversion that were received.
-- Reads:      adjustments
-- Grain:      one row per ingest_id, in the order of their receipt
-- Parameters: customer_id, api_name, action_id
select
    toString(ingest_id) as ingest_id,
    toString(kind) as kind,
    value,
    adjusted_at,
    received_at,
    inserted_at
from adjustments
where customer_id = {customer_id:String}
    and api_name = {api_name:String}
    and action_id = {action_id:String}
order by received_at, ingest_id, inserted_at
limit 1 by ingest_id
