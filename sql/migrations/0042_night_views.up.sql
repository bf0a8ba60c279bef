-- The views that conversions may be attributed to, at most one per visitor, optimization and moment.
create table if not exists night_views
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    optimization_id String comment 'Optimization',
    viewed_at DateTime64(3, 'UTC') comment 'When it happened',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received it',
    variation_id String comment 'Variation that was seen'
)
engine = MergeTree
order by (customer_id, visitor_id, optimization_id, viewed_at)
comment 'Views that may get the credit: working table of the night'
