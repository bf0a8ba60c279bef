-- Identifies in the rows that this run reads.
create table if not exists night_identifies
(
    customer_id String comment 'Account',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system',
    visitor_id String comment 'Browser',
    occurred_at DateTime64(3, 'UTC') comment 'When the page identified the visitor',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received that'
)
engine = MergeTree
order by (customer_id, user_domain, user_id, visitor_id)
comment 'Identifies that a run has read: working table of the night'
