-- Purpose:    Browser events that were not stored, by account and reason.
-- Reads:      dropped_events
-- Grain:      one row per (account, reason), the most frequent ones first, 10 at most
-- Parameters: customer_id, since
-- Notes:      An empty customer_id stands for all accounts.
select customer_id, toString(reason) as reason, sum(dropped_events.events) as events
from dropped_events
where ({customer_id:String} = '' or customer_id = {customer_id:String})
    and at >= {since:DateTime64(3, 'UTC')}
group by customer_id, reason
order by events desc, customer_id, reason
limit 10
