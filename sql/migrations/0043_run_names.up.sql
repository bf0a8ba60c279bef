-- The names as a run read them: the next one compares.
create table if not exists run_names
(
    customer_id String,
    event_id String,
    api_name String,
    valid_from DateTime64(3, 'UTC'),
    valid_to Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
engine = MergeTree
partition by version
order by (customer_id, api_name, valid_from)
settings fsync_after_insert = 1
