-- Purpose:    Between which days anything of an optimization was seen or attributed.
-- Reads:      exposures, attributions
-- Grain:      one row; 1970-01-01 and no days where there is nothing
-- Parameters: customer_id, optimization_id
select min(active_day) as first_day, max(active_day) as last_day, count() as active_days
from
(
    select distinct day as active_day
    from exposures
    where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
    union distinct
    select distinct conversion_day
    from attributions
    where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
)
