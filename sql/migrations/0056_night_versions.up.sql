-- Which version of each day readers will see of each table, once this run is published.
-- Lives:      home, read by shards
create table if not exists night_versions
(
    table_name LowCardinality(String) comment 'As in published_days',
    day Date comment 'UTC day',
    version UInt64 comment 'Version of this run where the day changed, else old_version',
    old_version UInt64 comment 'Version that is published, 0 where none is'
)
engine = MergeTree
order by (table_name, day)
comment 'Versions of days: working table of the night'
