-- Visitor-days to compute anew.
create table if not exists night_days
(
    customer_id String,
    visitor_id String,
    day Date,
    cause LowCardinality(String) comment 'Empty for a day that another one draws in'
)
engine = MergeTree
order by (day, customer_id, visitor_id)
