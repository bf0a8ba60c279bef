-- Purpose:    Find the visitors that an erasure concerns: one by its id, or those that were linked to a user id.
-- Reads:      client_events, erased_users
-- Writes:     erased_visitors
-- Grain:      one row per visitor
-- Parameters: customer_id, visitor_id
-- Notes:      An empty visitor_id stands for the visitors of erased_users. Of a visitor that is another user, too, only the link goes.
insert into erased_visitors (customer_id, visitor_id, is_whole)
select {customer_id:String}, {visitor_id:String}, 1
where {visitor_id:String} != ''
union all
select customer_id, visitor_id, countIf((customer_id, user_domain, user_id) global not in (select customer_id, user_domain, user_id from erased_users)) = 0
from client_events
where customer_id = {customer_id:String}
    and type = 'identify'
    and visitor_id in
    (
        select visitor_id
        from client_events
        where customer_id = {customer_id:String}
            and type = 'identify'
            and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users)
    )
group by customer_id, visitor_id
