-- Which shard this is, as home has noted it: a shard that has come into the place of another, or an empty one, is known by it.
-- Lives:      shards
create table if not exists shard_place
(
    spread String comment 'Id that home has in cluster_shards',
    place UInt64 comment 'Place among the shards, from 0'
)
engine = MergeTree
order by place
settings fsync_after_insert = 1
comment 'Which shard this is'
