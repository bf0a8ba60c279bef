-- The views that conversions may be attributed to, each with its rank: of two the higher one wins.
create table if not exists night_views
(
    customer_id String,
    visitor_id String,
    optimization_id String,
    viewed_at DateTime64(3, 'UTC'),
    variation_id String,
    rank UInt64
)
engine = MergeTree
order by (customer_id, visitor_id, optimization_id, viewed_at)
