-- Which name an event bore from when to when (R3).
create table if not exists catalog_event_names
(
    customer_id String comment 'Account',
    event_id String comment 'Event',
    api_name String comment 'Name',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it bears it',
    is_deleted UInt8 comment '1 where it was deleted',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, event_id, api_name, valid_from, version)
settings fsync_after_insert = 1
comment 'Names of events, by version'
