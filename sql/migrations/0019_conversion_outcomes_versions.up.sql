create table if not exists conversion_outcomes_versions
(
    customer_id String,
    conversion_day Date,
    api_name String,
    action_id String,
    converted_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    ingest_id UUID,
    outcome LowCardinality(String),
    version UInt64
)
engine = MergeTree
partition by (conversion_day, version)
order by (customer_id, api_name, action_id, received_at)
settings fsync_after_insert = 1
