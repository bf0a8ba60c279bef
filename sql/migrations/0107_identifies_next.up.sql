-- What a full run builds anew, to be exchanged for identifies.
create table if not exists identifies_next
(
    customer_id String comment 'Account',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system',
    visitor_id String comment 'Browser',
    occurred_at DateTime64(3, 'UTC') comment 'When the page identified the visitor',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received that'
)
engine = ReplacingMergeTree
order by (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at)
settings fsync_after_insert = 1
comment 'Identifies of a full run under way: working table of the night'
