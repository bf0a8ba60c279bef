-- Who saw which variation, by day and version. Texts that repeat are numbers into a dictionary: sorting and writing the
-- exposures of a night takes half as long. For partitions and merges see sessions_versions.
-- Lives:      shards
create table if not exists exposures_versions
(
    customer_id LowCardinality(String) comment 'Account',
    optimization_id LowCardinality(String) comment 'Optimization',
    variation_id LowCardinality(String) comment 'Variation that was seen',
    visitor_id String comment 'Browser that saw it',
    day Date comment 'UTC day of the views',
    first_viewed_at DateTime64(3, 'UTC') comment 'First view of that day',
    first_received_at DateTime64(3, 'UTC') comment 'When that was received, the earliest of several at that moment',
    last_viewed_at DateTime64(3, 'UTC') comment 'Last view of that day',
    last_received_at DateTime64(3, 'UTC') comment 'When that was received, the latest of several at that moment',
    views UInt32 comment 'Views of that day',
    version UInt64 comment 'Version of the day'
)
engine = MergeTree
partition by (day, version)
order by (customer_id, optimization_id, variation_id)
settings fsync_after_insert = 1, min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1
comment 'Exposures by day and version'
