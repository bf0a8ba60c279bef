-- Sessions by version of the day, the account a number into a dictionary: see exposures_versions.
create or replace table sessions_versions
(
    customer_id LowCardinality(String),
    visitor_id String,
    session_day Date,
    started_at DateTime64(3, 'UTC'),
    last_event_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    events UInt32,
    views UInt32,
    version UInt64,
    chain_started_at DateTime64(3, 'UTC')
)
engine = MergeTree
partition by (session_day, version)
order by (customer_id, visitor_id, started_at)
settings fsync_after_insert = 1
as select customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views, version, chain_started_at
from sessions_versions
settings max_partitions_per_insert_block = 0
