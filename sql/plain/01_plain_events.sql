-- The client events that count: received before the cutoff, and of copies the one received first (R5, R8).
create or replace table plain_events engine = MergeTree order by (customer_id, visitor_id, occurred_at)
as select *
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
order by received_at, type, optimization_id, variation_id, user_domain, user_id
limit 1 by customer_id, visitor_id, occurred_at, ingest_id
