-- Accounts. Of a key the row with the highest version counts that is in catalog_changes: that insert comes last, so
-- that a change of several tables is whole or none. The other tables of the catalog are read the same way.
create table if not exists catalog_accounts
(
    customer_id String,
    origins Array(String),
    created_at DateTime64(3, 'UTC'),
    version UInt64
)
engine = MergeTree
order by (customer_id, version)
settings fsync_after_insert = 1
