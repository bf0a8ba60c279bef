-- Purpose:    User ids that very many visitors are linked to: a placeholder, or a login that many share. Conversions of
--             such an id are attributed to whoever of all of them saw a variation last.
-- Reads:      identifies
-- Grain:      one row per user id, the most crowded ones first, 5 at most
-- Parameters: customer_id, least_visitors
-- Notes:      An empty customer_id stands for all accounts.
select customer_id, user_domain, user_id, uniqExact(visitor_id) as visitors
from identifies
where {customer_id:String} = '' or customer_id = {customer_id:String}
group by customer_id, user_domain, user_id
having visitors >= {least_visitors:UInt32}
order by visitors desc, customer_id, user_domain, user_id
limit 5
