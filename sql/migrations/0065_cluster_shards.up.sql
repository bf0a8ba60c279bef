-- Over which shards the rows of visitors are spread. On one server it is empty.
create table if not exists cluster_shards
(
    place UInt64 comment 'Place among the shards, from 0',
    shard String comment 'Its number and weight in the cluster',
    spread String comment 'Id that the shards have in shard_place'
)
engine = MergeTree
order by place
settings fsync_after_insert = 1
comment 'Shards of the cluster'
