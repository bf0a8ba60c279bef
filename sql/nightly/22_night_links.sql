-- Purpose:    Say since when a visitor is known to be a converting user (R2).
-- Reads:      identifies, night_identifies, night_conversions
-- Writes:     night_links
-- Grain:      one row per (account, user id, visitor), of the users that converted
-- Parameters: full, cutoff
-- Notes:      linked_at is when the first identify happened, of those received before the cutoff. A full run has
--             read all identifies itself.
insert into night_links (customer_id, user_domain, user_id, visitor_id, linked_at)
with read as
(
    select customer_id, user_domain, user_id, visitor_id, occurred_at
    from identifies
    where {full:UInt8} = 0
        and received_at < {cutoff:DateTime64(3, 'UTC')}
        and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
    union all
    select customer_id, user_domain, user_id, visitor_id, occurred_at
    from night_identifies
    where received_at < {cutoff:DateTime64(3, 'UTC')}
        and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
)
select customer_id, user_domain, user_id, visitor_id, min(occurred_at)
from read
group by customer_id, user_domain, user_id, visitor_id
