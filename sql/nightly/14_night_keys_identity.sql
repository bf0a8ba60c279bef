-- Purpose:    List the conversions of users who are now known to be a visitor, or since an earlier moment (R2).
-- Reads:      night_identifies, identifies, conversions
-- Writes:     night_keys
-- Grain:      one row per (account, name, action id)
-- Parameters: full, low
-- Notes:      Only the earliest identify of a user and a visitor counts, so pages that identify at each load cost
--             nothing here. Known at all cutoffs in question is what was received before low.
insert into night_keys (customer_id, api_name, action_id, cause)
with
    known as
    (
        select customer_id, user_domain, user_id, visitor_id, min(occurred_at) as identified_at, 1 as is_known
        from identifies
        where (customer_id, user_domain, user_id, visitor_id)
                in (select customer_id, user_domain, user_id, visitor_id from night_identifies)
            and received_at < {low:DateTime64(3, 'UTC')}
        group by customer_id, user_domain, user_id, visitor_id
    ),
    changed_users as
    (
        select distinct
            night_identifies.customer_id as customer_id,
            night_identifies.user_domain as user_domain,
            night_identifies.user_id as user_id
        from night_identifies
        left join known
            on night_identifies.customer_id = known.customer_id
            and night_identifies.user_domain = known.user_domain
            and night_identifies.user_id = known.user_id
            and night_identifies.visitor_id = known.visitor_id
        where known.is_known = 0
            or night_identifies.occurred_at < known.identified_at
    )
select distinct customer_id, api_name, action_id, 'identity'
from conversions
where {full:UInt8} = 0
    and user_id in (select user_id from night_identifies) -- a text is looked up faster than a tuple
    and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from changed_users)
