-- Variations of an optimization, in the order they were given; removed ones stay with is_deleted.
create table if not exists catalog_variations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation',
    name String comment 'What people call it',
    is_baseline UInt8 comment '1 for the one that the others are compared with',
    weight Float64 comment 'Share of the traffic, relative to the other weights',
    position UInt32 comment 'Order of display',
    is_deleted UInt8 comment '1 where it was removed',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, optimization_id, variation_id, version)
settings fsync_after_insert = 1
comment 'Variations of optimizations, by version'
