-- What runs did: a row when one starts, and one when it ends; the one with the highest revision counts.
create table if not exists run_log
(
    run_id String comment 'Run; later ones sort later',
    revision UInt8 comment 'The highest of a run counts',
    cutoff DateTime64(3, 'UTC') comment 'Rows received before it take part (R8)',
    started_at DateTime64(3, 'UTC') comment 'When it began',
    finished_at Nullable(DateTime64(3, 'UTC')) comment 'When it ended',
    state LowCardinality(String) comment 'running, done, failed, dry-run, or covered by a later run',
    from_day Nullable(Date) comment 'First day asked for, of a run over a range',
    to_day Nullable(Date) comment 'Last day asked for, of a run over a range',
    days UInt32 comment 'Days published',
    rows UInt64 comment 'Rows published, of all tables',
    error String comment 'Why it failed',
    version UInt64 comment 'Version of the days that it staged',
    mode LowCardinality(String) comment 'full, incremental or range',
    read_at Nullable(DateTime64(3, 'UTC')) comment 'Rows that were visible before it, on the clock of ClickHouse, have been read',
    epoch String comment 'Changes when raw rows were deleted or altered, and when the numbers of the rules change'
)
engine = ReplacingMergeTree(revision)
order by run_id
settings fsync_after_insert = 1
comment 'What runs did, by revision'
