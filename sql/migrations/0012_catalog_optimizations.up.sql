-- Optimizations; their variations and goals have tables of their own.
create table if not exists catalog_optimizations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    name String comment 'What people call it',
    planned_visitors UInt64 comment 'How many visitors are planned to be compared (R11)',
    is_deleted UInt8 comment '1 where it was deleted',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, optimization_id, version)
settings fsync_after_insert = 1
comment 'Optimizations, by version'
