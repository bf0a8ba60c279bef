-- Purpose:    Conversions attributed twice for one optimization (R4), as by two events with one name.
-- Reads:      attributions_versions
-- Parameters: version
select
    customer_id,
    api_name,
    action_id,
    optimization_id,
    count() as attributions
from attributions_versions
where version = {version:UInt64}
group by customer_id, api_name, action_id, optimization_id
having attributions > 1
order by customer_id, api_name, action_id, optimization_id
