create view if not exists runs
(
    run_id String comment 'Run; later ones sort later',
    cutoff DateTime64(3, 'UTC') comment 'Rows received before it take part (R8)',
    started_at DateTime64(3, 'UTC') comment 'When it began',
    finished_at Nullable(DateTime64(3, 'UTC')) comment 'When it ended',
    state LowCardinality(String) comment 'running, done, failed, or covered by a later run',
    from_day Nullable(Date) comment 'First day asked for, of a run over a range',
    to_day Nullable(Date) comment 'Last day asked for, of a run over a range',
    days UInt32 comment 'Days published',
    rows UInt64 comment 'Rows published, of all four tables',
    error String comment 'Why it failed'
)
as select run_id, cutoff, started_at, finished_at, state, from_day, to_day, days, rows, error
from run_log final
