-- Purpose:    Names of conversions that no event bore, with how many conversions came under each.
-- Reads:      conversion_outcomes, conversions, event_names
-- Grain:      one row per (account, name), the most frequent ones first, 10 at most
-- Parameters: customer_id, from_day, cutoff
-- Notes:      An empty customer_id stands for all accounts. Of the conversions that no run has decided yet (cutoff is
--             the last one's) those count whose name no event has ever borne.
with
    undefined as
    (
        select customer_id, api_name, count() as conversions, max(converted_at) as last_converted_at
        from conversion_outcomes
        where ({customer_id:String} = '' or customer_id = {customer_id:String})
            and conversion_day >= {from_day:Date}
            and outcome = 'event_not_defined'
        group by customer_id, api_name
        union all
        select customer_id, api_name, uniqExact(action_id) as conversions, max(action_at) as last_converted_at
        from conversions
        where ({customer_id:String} = '' or customer_id = {customer_id:String})
            and received_at >= {cutoff:DateTime64(3, 'UTC')}
            and toDate(action_at) >= {from_day:Date}
            and (customer_id, api_name) not in (select customer_id, api_name from event_names)
        group by customer_id, api_name
    )
select
    customer_id,
    api_name,
    sum(undefined.conversions) as conversions,
    max(undefined.last_converted_at) as last_converted_at
from undefined
group by customer_id, api_name
order by conversions desc, customer_id, api_name
limit 10
