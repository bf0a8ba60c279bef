-- Who saw which variation on which day (R9).
create or replace table plain_exposures engine = MergeTree order by (customer_id, optimization_id, variation_id)
as select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    toDate(occurred_at) as day,
    min(occurred_at) as first_viewed_at,
    count() as views
from plain_events
where type = 'view'
group by customer_id, optimization_id, variation_id, visitor_id, day
