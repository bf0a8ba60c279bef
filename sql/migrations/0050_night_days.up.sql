-- How many visitors' days a run computes again, and why.
-- Lives:      shards
create table if not exists night_days
(
    customer_id String comment 'Account',
    day Date comment 'UTC day',
    cause LowCardinality(String) comment 'client_event or erasure',
    items UInt64 comment 'Visitors'
)
engine = MergeTree
order by (day, customer_id)
comment 'Days to compute again: working table of the night'
