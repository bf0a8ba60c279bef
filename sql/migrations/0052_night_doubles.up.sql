-- The copy that counts of each client event that was written more than once (R5).
create table if not exists night_doubles
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
engine = MergeTree
order by ingest_id
