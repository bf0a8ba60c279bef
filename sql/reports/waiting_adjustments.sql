-- Purpose:    Adjustments that wait for a conversion, which may come under another name, or never.
-- Reads:      adjustments, conversions
-- Grain:      one row per (account, name) of which some wait, the most frequent ones first, 10 at most
-- Parameters: customer_id
-- Notes:      An empty customer_id stands for all accounts. Counted are the conversions that are named, and not how often.
select
    customer_id,
    api_name,
    uniqExact(action_id) as conversions,
    argMax(action_id, received_at) as last_action_id,
    max(received_at) as last_received_at,
    sum(conversions) over () as all_conversions
from adjustments
where ({customer_id:String} = '' or customer_id = {customer_id:String})
    and (customer_id, api_name, action_id) not in
    (
        select customer_id, api_name, action_id
        from conversions
        where action_id in (select action_id from adjustments where {customer_id:String} = '' or customer_id = {customer_id:String})
    )
group by customer_id, api_name
order by conversions desc, customer_id, api_name
limit 10
