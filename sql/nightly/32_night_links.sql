-- Purpose:    Say since when a visitor is known to be a user who converted (R2).
-- Reads:      identifies, night_conversions
-- Writes:     night_links
-- Runs:       home
-- Grain:      one row per (account, user id, visitor)
-- Parameters: cutoff
-- Notes:      linked_at is when the first identify happened, of those received before the cutoff.
insert into night_links (customer_id, user_domain, user_id, visitor_id, linked_at)
select customer_id, user_domain, user_id, visitor_id, min(occurred_at)
from identifies
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
group by customer_id, user_domain, user_id, visitor_id
