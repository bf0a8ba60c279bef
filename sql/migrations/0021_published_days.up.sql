-- Which version of a day readers see, for each table with versions: the highest. One insert publishes any number of days of
-- all tables at once, since every view looks here (R8).
-- Lives:      home, read by shards
create table if not exists published_days
(
    table_name LowCardinality(String) comment 'sessions_versions, exposures_versions or decisions_versions',
    day Date comment 'UTC day',
    version UInt64 comment 'Version that readers see, if it is the highest of the table and day',
    run_id String comment 'Run that computed it',
    cutoff DateTime64(3, 'UTC') comment 'Its cutoff',
    published_at DateTime64(3, 'UTC') default now64(3, 'UTC') comment 'When readers began to see it'
)
engine = MergeTree
order by (table_name, day, version)
settings fsync_after_insert = 1
comment 'Which version of each day readers see'
