-- Runs of events without a gap.
create table if not exists night_stretches
(
    customer_id String,
    visitor_id String,
    first_at DateTime64(3, 'UTC'),
    last_at DateTime64(3, 'UTC'),
    events UInt32,
    views UInt32
)
engine = MergeTree
order by (customer_id, visitor_id, first_at)
