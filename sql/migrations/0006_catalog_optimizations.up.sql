-- Optimizations; their variations and goals stand in tables of their own.
create table if not exists catalog_optimizations
(
    customer_id String,
    optimization_id String,
    name String,
    version UInt64
)
engine = MergeTree
order by (customer_id, optimization_id, version)
settings fsync_after_insert = 1
