-- Which name an event bore from when to when (R3).
create table if not exists catalog_event_names
(
    customer_id String,
    event_id String,
    api_name String,
    valid_from DateTime64(3, 'UTC'),
    valid_to Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
engine = MergeTree
order by (customer_id, event_id, api_name, valid_from, version)
settings fsync_after_insert = 1
