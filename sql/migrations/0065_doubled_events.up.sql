-- Every copy that a run has found of the client events that were written more than once (R5).
create table if not exists doubled_events
(
    customer_id String,
    visitor_id String,
    type LowCardinality(String),
    optimization_id String,
    variation_id String,
    user_domain String,
    user_id String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    ingest_id UUID
)
engine = ReplacingMergeTree
order by (ingest_id, received_at, occurred_at, customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id)
settings fsync_after_insert = 1
