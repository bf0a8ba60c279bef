-- The names as a run read them: the next one compares.
create table if not exists run_names
(
    customer_id String comment 'Account',
    event_id String comment 'Event',
    api_name String comment 'Name',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it bears it',
    version UInt64 comment 'Version of the run'
)
engine = MergeTree
partition by version
order by (customer_id, api_name, valid_from)
settings fsync_after_insert = 1
comment 'Event names as runs read them'
