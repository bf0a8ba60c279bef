-- The first views of variations by the visitors whose rows in entries_versions may come out different.
-- Lives:      shards
create table if not exists night_first_views
(
    customer_id LowCardinality(String) comment 'Account',
    optimization_id LowCardinality(String) comment 'Optimization',
    variation_id LowCardinality(String) comment 'Variation that was seen',
    visitor_id String comment 'Browser',
    first_viewed_at DateTime64(3, 'UTC') comment 'First view of the variation by the visitor',
    first_received_at DateTime64(3, 'UTC') comment 'When that was received',
    entry_key UInt128 comment 'Hash of account, optimization and visitor'
)
engine = MergeTree
order by (customer_id, optimization_id, variation_id)
comment 'First views: working table of the night'
