-- The views that conversions may be attributed to, at most one per visitor, optimization and moment. The larger place wins: under last
-- it is the moment, under first its negative, so that one look-up serves both (R4).
create table if not exists night_views
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    credit Enum8('last' = 0, 'first' = 1) comment 'For which rule the place is',
    optimization_id String comment 'Optimization',
    place Int64 comment 'When it happened, in milliseconds; under first negative',
    received_place Int64 comment 'When it was received, likewise',
    variation_id String comment 'Variation that was seen',
    viewed_at DateTime64(3, 'UTC') comment 'When it happened'
)
engine = MergeTree
order by (customer_id, visitor_id, credit, optimization_id, place)
comment 'Views that may get the credit: working table of the night'
