-- Every link between a user id and a visitor that a finished run has read.
create table if not exists identities
(
    customer_id String,
    user_domain String,
    user_id String,
    visitor_id String,
    linked_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')) comment 'When the first identify was received (R2)'
)
engine = AggregatingMergeTree
order by (customer_id, user_domain, user_id, visitor_id)
settings fsync_after_insert = 1
