-- Working set of an import: the ids of a batch, which are looked for among those that are there.
create table if not exists import_ids
(
    batch_id UUID comment 'Batch of an import',
    ingest_id UUID comment 'Id of a row of the batch'
)
engine = MergeTree
partition by batch_id
order by ingest_id
ttl toDateTime(UUIDv7ToDateTime(batch_id)) + toIntervalDay(1)
comment 'Ids that an import looks up: working table'
