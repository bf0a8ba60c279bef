-- The visitors whose rows in entries_versions may come out different, by the hash of account, optimization and visitor.
-- Lives:      shards
create table if not exists night_concerned
(
    entry_key UInt128 comment 'Hash of account, optimization and visitor'
)
engine = MergeTree
order by entry_key
comment 'Visitors whose first views may have changed: working table of the night'
