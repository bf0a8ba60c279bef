-- Every identify received, in the order of users: a run at any cutoff asks it since when a visitor is a user's (R2). Rows that
-- come twice do no harm. A row's own times show whether a run before has read it.
create table if not exists identifies
(
    customer_id String comment 'Account',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system',
    visitor_id String comment 'Browser',
    occurred_at DateTime64(3, 'UTC') comment 'When the page identified the visitor',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received that',
    inserted_at DateTime64(3, 'UTC') comment 'When the client event became visible'
)
engine = ReplacingMergeTree
order by (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at, inserted_at)
settings fsync_after_insert = 1
comment 'Identifies received, by user: working table of the night'
