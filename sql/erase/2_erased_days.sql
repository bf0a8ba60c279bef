-- Purpose:    Find the days of the client events that an erasure deletes.
-- Reads:      client_events, erased_visitors, erased_users
-- Writes:     erased_days
-- Grain:      one row per visitor-day
-- Parameters: customer_id
insert into erased_days (customer_id, visitor_id, day, rows, links)
select customer_id, visitor_id, toDate(occurred_at) as day, count(), countIf(type = 'identify')
from client_events
where customer_id = {customer_id:String}
    and visitor_id in (select visitor_id from erased_visitors)
    and (visitor_id in (select visitor_id from erased_visitors where is_whole = 1)
        or type = 'identify' and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users))
group by customer_id, visitor_id, day
