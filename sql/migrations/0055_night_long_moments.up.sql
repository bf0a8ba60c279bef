-- The moments of stretches beyond the cap, each with the first moment that a session starting there cannot hold.
create table if not exists night_long_moments
(
    customer_id String,
    visitor_id String,
    stretch_at DateTime64(3, 'UTC'),
    stretch_end DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC'),
    events UInt32,
    views UInt32,
    next_at DateTime64(3, 'UTC')
)
engine = MergeTree
order by (customer_id, visitor_id, stretch_at, at)
