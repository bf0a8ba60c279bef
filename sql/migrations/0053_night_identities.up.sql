-- Links in the rows that this run reads.
create table if not exists night_identities
(
    customer_id String,
    user_domain String,
    user_id String,
    visitor_id String,
    linked_at DateTime64(3, 'UTC')
)
engine = MergeTree
order by (customer_id, user_domain, user_id, visitor_id)
