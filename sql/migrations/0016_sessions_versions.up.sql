create table if not exists sessions_versions
(
    customer_id String,
    visitor_id String,
    session_day Date,
    started_at DateTime64(3, 'UTC'),
    last_event_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    events UInt32,
    views UInt32,
    version UInt64
)
engine = MergeTree
partition by (session_day, version)
order by (customer_id, visitor_id, started_at)
settings fsync_after_insert = 1
