create table if not exists exposures_versions
(
    customer_id String,
    optimization_id String,
    variation_id String,
    visitor_id String,
    day Date,
    first_viewed_at DateTime64(3, 'UTC'),
    views UInt32,
    version UInt64
)
engine = MergeTree
partition by (day, version)
order by (customer_id, optimization_id, variation_id, visitor_id)
settings fsync_after_insert = 1
