-- Purpose:    What a conversion is attributed to.
-- Reads:      attributions
-- Grain:      one row per optimization
-- Parameters: customer_id, api_name, action_id
select
    toString(ingest_id) as ingest_id,
    optimization_id,
    variation_id,
    visitor_id,
    session_started_at,
    viewed_at
from attributions
where customer_id = {customer_id:String}
    and api_name = {api_name:String}
    and action_id = {action_id:String}
order by ingest_id, optimization_id
