-- Purpose:    Say since when we knew which visitor a converting user was (R2).
-- Reads:      night_events, night_conversions
-- Writes:     night_links
-- Grain:      one row per (account, user id, visitor), of the users that converted
-- Parameters: none
-- Notes:      linked_at is when the first identify was received, not when it happened.
insert into night_links (customer_id, user_domain, user_id, visitor_id, linked_at)
select
    customer_id,
    user_domain,
    user_id,
    visitor_id,
    min(received_at)
from night_events
where type = 'identify'
    and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
group by customer_id, user_domain, user_id, visitor_id
