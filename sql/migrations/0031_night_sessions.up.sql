-- Working set of a run: sessions of the days asked for and of the day before, which may still be open.
create table if not exists night_sessions
(
    customer_id String,
    visitor_id String,
    started_at DateTime64(3, 'UTC'),
    last_event_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    events UInt32,
    views UInt32
)
engine = MergeTree
order by (customer_id, visitor_id, started_at)
