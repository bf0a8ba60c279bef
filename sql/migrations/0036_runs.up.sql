-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view runs
(
    run_id String comment 'Run; later ones sort later',
    cutoff DateTime64(3, 'UTC') comment 'Rows received before it take part (R8)',
    started_at DateTime64(3, 'UTC') comment 'When it began',
    finished_at Nullable(DateTime64(3, 'UTC')) comment 'When it ended',
    state LowCardinality(String) comment 'running, done, failed, dry-run, or covered by a later run',
    mode LowCardinality(String) comment 'full: from all rows; incremental: what has changed; range: also the days asked for',
    from_day Nullable(Date) comment 'First day asked for, of a run over a range',
    to_day Nullable(Date) comment 'Last day asked for, of a run over a range',
    days UInt32 comment 'Days published',
    rows UInt64 comment 'Rows published, of all tables',
    error String comment 'Why it failed'
)
definer = current_user sql security definer
comment 'Runs of the night'
as select run_id, cutoff, started_at, finished_at, state, mode, from_day, to_day, days, rows, error
from run_log final
