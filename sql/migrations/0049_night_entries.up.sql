-- Of visitors who saw several variations the one that they entered with.
-- Lives:      shards
create table if not exists night_entries
(
    entry_key UInt128 comment 'Hash of account, optimization and visitor',
    variation_id LowCardinality(String) comment 'Variation that was seen first'
)
engine = MergeTree
order by entry_key
comment 'Entries of visitors of several variations: working table of the night'
