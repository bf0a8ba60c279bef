-- Where the sessions of those stretches start.
create table if not exists night_long_starts
(
    customer_id String,
    visitor_id String,
    stretch_at DateTime64(3, 'UTC'),
    start_at DateTime64(3, 'UTC'),
    hop UInt32
)
engine = MergeTree
order by (customer_id, visitor_id, stretch_at, start_at)
