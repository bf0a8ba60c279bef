-- Every identify that a finished run has read, by user: a run at any cutoff asks it since when a visitor is a user's (R2).
-- Rows that come twice do no harm.
create table if not exists identifies
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
comment 'Identifies received, by user: working table of the night'
