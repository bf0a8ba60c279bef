-- Client events that were written more than once.
create table if not exists night_doubled_ids
(
    ingest_id UUID
)
engine = MergeTree
order by ingest_id
