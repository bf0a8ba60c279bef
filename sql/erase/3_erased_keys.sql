-- Purpose:    Find the conversions that an erasure deletes, those of the user id, and those that may be decided otherwise: of the
--             users that the visitors were linked to.
-- Reads:      conversions, client_events, erased_visitors, erased_users
-- Writes:     erased_keys
-- Grain:      one row per (account, name, action id, day, whether they go)
-- Parameters: customer_id
insert into erased_keys (customer_id, api_name, action_id, day, rows, is_deleted)
with linked as
(
    select distinct customer_id, user_domain, user_id
    from client_events
    where customer_id = {customer_id:String}
        and type = 'identify'
        and visitor_id in (select visitor_id from erased_visitors)
)
select
    customer_id,
    api_name,
    action_id,
    toDate(action_at) as day,
    count(),
    (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users) as is_deleted
from conversions
where customer_id = {customer_id:String}
    and (is_deleted or (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from linked))
group by customer_id, api_name, action_id, day, is_deleted
