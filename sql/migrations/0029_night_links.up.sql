-- Working set of a run: who was known to be whom, and since when (R2).
create table if not exists night_links
(
    customer_id String,
    user_domain String,
    user_id String,
    visitor_id String,
    linked_at DateTime64(3, 'UTC')
)
engine = MergeTree
order by (customer_id, user_domain, user_id, visitor_id)
