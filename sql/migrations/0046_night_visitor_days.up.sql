-- The visitor-days that an incremental run computes again.
-- Lives:      shards
create table if not exists night_visitor_days
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    day Date comment 'UTC day',
    cause LowCardinality(String) comment 'client_event or erasure; empty where the session open at midnight changed'
)
engine = MergeTree
order by (day, customer_id, visitor_id)
comment 'Visitor-days to compute again: working table of the night'
