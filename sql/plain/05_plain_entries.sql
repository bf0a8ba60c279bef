-- Who entered an optimization, when and with which variation: the first view of all (R11).
create or replace table plain_entries engine = MergeTree order by (customer_id, optimization_id, visitor_id)
as select
    customer_id,
    optimization_id,
    visitor_id,
    variation_id,
    occurred_at as entered_at,
    attributes
from plain_events
where type = 'view'
order by occurred_at, received_at, variation_id, toString(ingest_id)
limit 1 by customer_id, optimization_id, visitor_id
