-- What a full run builds anew, to be exchanged for identities.
create table if not exists identities_next
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
