-- What was changed in the catalog, when and by whom; the newest version tells a service to read it anew.
create table if not exists catalog_changes
(
    version UInt64,
    changed_at DateTime64(3, 'UTC'),
    source String,
    customer_id String,
    change String
)
engine = MergeTree
order by version
settings fsync_after_insert = 1
