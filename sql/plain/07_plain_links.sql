-- Since when a visitor is known to be a user (R2): copies of an identify link, too.
create or replace table plain_links engine = MergeTree order by (customer_id, user_domain, user_id)
as select customer_id, user_domain, user_id, visitor_id, min(occurred_at) as linked_at
from client_events
where type = 'identify'
    and received_at < {cutoff:DateTime64(3, 'UTC')}
group by customer_id, user_domain, user_id, visitor_id
