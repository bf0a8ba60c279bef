-- Events attached to optimizations; removed ones stay with is_deleted.
create table if not exists catalog_goals
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    event_id String comment 'Event that counts for it',
    is_primary UInt8 comment '1 for the one it is optimized for',
    mde_percent Float64 comment 'The smallest lift worth finding, in per cent (R11)',
    is_deleted UInt8 comment '1 where it was removed',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, optimization_id, event_id, version)
settings fsync_after_insert = 1
comment 'Goals of optimizations, by version'
