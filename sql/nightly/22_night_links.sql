-- Purpose:    Say since when we knew which visitor a converting user was (R2).
-- Reads:      identities, night_identities, night_conversions
-- Writes:     night_links
-- Grain:      one row per (account, user id, visitor), of the users that converted
-- Parameters: full, cutoff
-- Notes:      A full run has read all identifies itself.
insert into night_links (customer_id, user_domain, user_id, visitor_id, linked_at)
with links as
(
    select customer_id, user_domain, user_id, visitor_id, linked_at
    from identities
    where {full:UInt8} = 0
        and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
    union all
    select customer_id, user_domain, user_id, visitor_id, linked_at
    from night_identities
    where (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from night_conversions)
)
select customer_id, user_domain, user_id, visitor_id, min(links.linked_at) as first_linked_at
from links
group by customer_id, user_domain, user_id, visitor_id
having first_linked_at < {cutoff:DateTime64(3, 'UTC')}
