create table if not exists attributions_versions
(
    customer_id String,
    conversion_day Date,
    event_id String,
    api_name String,
    action_id String,
    user_domain String,
    user_id String,
    converted_at DateTime64(3, 'UTC'),
    value Nullable(Decimal(18, 4)),
    optimization_id String,
    variation_id String,
    visitor_id String,
    session_started_at DateTime64(3, 'UTC'),
    viewed_at DateTime64(3, 'UTC'),
    ingest_id UUID,
    version UInt64
)
engine = MergeTree
partition by (conversion_day, version)
order by (customer_id, optimization_id, event_id, variation_id, visitor_id)
settings fsync_after_insert = 1
