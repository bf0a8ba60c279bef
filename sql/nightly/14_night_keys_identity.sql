-- Purpose:    List the conversions of users whose links have changed, whenever received.
-- Reads:      night_identities, identities, conversions
-- Writes:     night_keys
-- Grain:      one row per (account, name, action id)
-- Parameters: full, low, high
-- Notes:      A link that was known as early before, on both sides of the cutoffs, changes nothing: pages that
--             identify at each load cost nothing here.
insert into night_keys (customer_id, api_name, action_id, cause)
with
    known as
    (
        select customer_id, user_domain, user_id, visitor_id, min(linked_at) as linked_at, 1 as is_known
        from identities
        where (customer_id, user_domain, user_id, visitor_id)
            in (select customer_id, user_domain, user_id, visitor_id from night_identities)
        group by customer_id, user_domain, user_id, visitor_id
    ),
    changed_users as
    (
        select distinct
            night_identities.customer_id as customer_id,
            night_identities.user_domain as user_domain,
            night_identities.user_id as user_id
        from night_identities
        left join known
            on night_identities.customer_id = known.customer_id
            and night_identities.user_domain = known.user_domain
            and night_identities.user_id = known.user_id
            and night_identities.visitor_id = known.visitor_id
        where known.is_known = 0
            or night_identities.linked_at < known.linked_at
            or known.linked_at >= {low:DateTime64(3, 'UTC')} and known.linked_at < {high:DateTime64(3, 'UTC')}
    )
select distinct customer_id, api_name, action_id, 'identity'
from conversions
where {full:UInt8} = 0
    and user_id in (select user_id from night_identities) -- a text is looked up faster than a tuple
    and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from changed_users)
