-- Which version of each day readers see: the highest. One insert publishes any number of days of all
-- four tables at once, since every view looks here (R8).
create table if not exists published_days
(
    day Date comment 'UTC day',
    version UInt64 comment 'Version of the four tables that readers see for that day, if it is the highest',
    run_id String comment 'Run that computed it',
    cutoff DateTime64(3, 'UTC') comment 'Its cutoff',
    published_at DateTime64(3, 'UTC') default now64(3, 'UTC') comment 'When readers began to see it'
)
engine = MergeTree
order by (day, version)
settings fsync_after_insert = 1
