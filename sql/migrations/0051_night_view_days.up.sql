-- Visitor-days whose views the conversions may be attributed to.
create table if not exists night_view_days
(
    customer_id String,
    visitor_id String,
    day Date
)
engine = MergeTree
order by (day, customer_id, visitor_id)
