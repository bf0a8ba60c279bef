-- Variations of an optimization, in the order they were given; removed ones stay with is_deleted.
create table if not exists catalog_variations
(
    customer_id String,
    optimization_id String,
    variation_id String,
    name String,
    is_baseline UInt8,
    weight Float64,
    position UInt32,
    is_deleted UInt8,
    version UInt64
)
engine = MergeTree
order by (customer_id, optimization_id, variation_id, version)
settings fsync_after_insert = 1
