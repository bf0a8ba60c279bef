-- Which visitors the users that converted are, and since when (R2).
create table if not exists night_links
(
    customer_id String comment 'Account',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system',
    visitor_id String comment 'Browser',
    linked_at DateTime64(3, 'UTC') comment 'When the first identify happened'
)
engine = MergeTree
order by (customer_id, user_domain, user_id, visitor_id)
comment 'Visitors of users: working table of the night'
