-- What runs did: a row when one starts, when it ends; the one with the highest revision counts.
create table if not exists run_log
(
    run_id String,
    revision UInt8,
    cutoff DateTime64(3, 'UTC'),
    started_at DateTime64(3, 'UTC'),
    finished_at Nullable(DateTime64(3, 'UTC')),
    state LowCardinality(String),
    from_day Nullable(Date),
    to_day Nullable(Date),
    days UInt32,
    rows UInt64,
    error String,
    version UInt64
)
engine = ReplacingMergeTree(revision)
order by run_id
settings fsync_after_insert = 1
