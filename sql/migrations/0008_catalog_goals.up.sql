-- Events attached to optimizations; removed ones stay with is_deleted.
create table if not exists catalog_goals
(
    customer_id String,
    optimization_id String,
    event_id String,
    is_primary UInt8,
    is_deleted UInt8,
    version UInt64
)
engine = MergeTree
order by (customer_id, optimization_id, event_id, version)
settings fsync_after_insert = 1
