-- When each visitor first saw each variation, in all that is published, by the day of that view and version (R11). The row
-- with is_entry is what it entered the optimization with; the others say that it saw another variation, too. The night and
-- readers find a visitor's rows by entry_key: comparing three texts takes three times as long. For partitions and merges see sessions_versions.
-- Lives:      shards
create table if not exists entries_versions
(
    customer_id LowCardinality(String) comment 'Account',
    optimization_id LowCardinality(String) comment 'Optimization',
    variation_id LowCardinality(String) comment 'Variation that was seen',
    visitor_id String comment 'Browser that saw it',
    day Date comment 'UTC day of the view',
    first_viewed_at DateTime64(3, 'UTC') comment 'First view of the variation by the visitor',
    first_received_at DateTime64(3, 'UTC') comment 'When that was received, the earliest of several at that moment',
    is_entry UInt8 comment '1 where no other variation was seen before',
    attributes Map(LowCardinality(String), String) comment 'Of the view that the visitor entered with',
    entry_key UInt128 comment 'Hash of account, optimization and visitor',
    version UInt64 comment 'Version of the day'
)
engine = MergeTree
partition by (day, version)
order by (customer_id, optimization_id, variation_id)
settings fsync_after_insert = 1, min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1
comment 'First views of variations by day and version'
