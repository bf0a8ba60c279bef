-- How long each statement of a run took.
create table if not exists run_steps
(
    run_id String comment 'Run',
    step String comment 'File of sql/nightly',
    started_at DateTime64(3, 'UTC') comment 'When it began',
    duration_ms UInt64 comment 'How long it took',
    rows UInt64 comment 'Rows written'
)
engine = MergeTree
order by (run_id, started_at, step)
comment 'Steps of the runs'
