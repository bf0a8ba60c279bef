-- What was changed in the catalog, when and by whom; the newest version makes a service read it again.
create table if not exists catalog_changes
(
    version UInt64 comment 'Number of the change',
    changed_at DateTime64(3, 'UTC') comment 'When',
    source String comment 'Command, page or import that made it',
    customer_id String comment 'Account',
    change String comment 'What was changed, in words'
)
engine = MergeTree
order by version
settings fsync_after_insert = 1
comment 'What was changed in the catalog, when and by whom'
