-- Working set of an import: the ids of a batch, which are looked for among those that are there.
create table if not exists import_ids
(
    batch_id UUID,
    ingest_id UUID
)
engine = MergeTree
partition by batch_id
order by ingest_id
ttl toDateTime(UUIDv7ToDateTime(batch_id)) + toIntervalDay(1)
