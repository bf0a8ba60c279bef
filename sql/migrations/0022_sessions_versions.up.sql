-- Sessions, in parts by day: one that goes on past midnight has a part in each of two days, with one start (R1). By day and
-- version, so that publishing writes whole partitions and forgetting drops them. The parts of a partition are merged into one
-- when they are an hour old: sooner, merges would take a sixth of the processors' time from the night. The index finds the days of
-- the sessions that a reader asks for by the day of their start.
-- Lives:      shards
create table if not exists sessions_versions
(
    customer_id LowCardinality(String) comment 'Account',
    visitor_id String comment 'Browser, anonymous',
    day Date comment 'UTC day of the events of this part',
    started_at DateTime64(3, 'UTC') comment 'First event of the session, on this day or the one before',
    last_event_at DateTime64(3, 'UTC') comment 'Last event of this part',
    expires_at DateTime64(3, 'UTC') comment 'Until when the session is open, as far as this part goes (R1)',
    events UInt32 comment 'Client events of this part, of all types',
    views UInt32 comment 'Views of this part',
    version UInt64 comment 'Version of the day',
    index started started_at type minmax granularity 1
)
engine = MergeTree
partition by (day, version)
order by (customer_id, visitor_id, started_at)
settings fsync_after_insert = 1, min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1
comment 'Parts of sessions by day and version'
