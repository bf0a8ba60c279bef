-- Purpose:    Conversions attributed twice for one optimization (R4), as by two copies that both count.
-- Reads:      decisions_versions
-- Runs:       home
-- Parameters: version
select customer_id, api_name, action_id, optimization_id, count() as attributions
from decisions_versions
array join credits.optimization_id as optimization_id
where version = {version:UInt64}
group by customer_id, api_name, action_id, optimization_id
having attributions > 1
order by customer_id, api_name, action_id, optimization_id
