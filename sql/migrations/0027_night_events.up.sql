-- Working set of a run: each client event once (R5), received before the cutoff.
create table if not exists night_events
(
    customer_id String,
    visitor_id String,
    type LowCardinality(String),
    optimization_id String,
    variation_id String,
    user_domain String,
    user_id String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC')
)
engine = MergeTree
order by (customer_id, visitor_id, occurred_at)
