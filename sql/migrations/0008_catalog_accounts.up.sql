-- Accounts. Of a key the row with the highest version counts that is in catalog_changes: that insert comes last, so
-- that a change of several tables is whole or none. The other tables of the catalog are read the same way.
create table if not exists catalog_accounts
(
    customer_id String comment 'Account',
    origins Array(String) comment 'Origins that its browsers may send from; none means any',
    created_at DateTime64(3, 'UTC') comment 'When it was added',
    is_deleted UInt8 comment '1 where it was deleted',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, version)
settings fsync_after_insert = 1
comment 'Accounts, by version'
