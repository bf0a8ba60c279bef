-- Accounts; the row with the highest version of a key counts.
create table if not exists catalog_accounts
(
    customer_id String,
    origins Array(String),
    created_at DateTime64(3, 'UTC'),
    version UInt64
)
engine = ReplacingMergeTree(version)
order by customer_id
settings fsync_after_insert = 1
