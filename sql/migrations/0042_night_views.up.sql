-- The views that conversions may be attributed to, at most one per visitor, optimization and moment, with the order in which they
-- win.
create table if not exists night_views
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    optimization_id String comment 'Optimization',
    viewed_at DateTime64(3, 'UTC') comment 'When',
    variation_id String comment 'Variation that was seen',
    place UInt64 comment 'Of two views the one with the lower place wins (R4)'
)
engine = MergeTree
order by (customer_id, visitor_id, optimization_id, viewed_at)
comment 'Views that may get the credit: working table of the night'
