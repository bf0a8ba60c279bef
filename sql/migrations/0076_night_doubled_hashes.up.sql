-- Hashes of ingest_ids that occur twice among the client events.
create table if not exists night_doubled_hashes
(
    id_hash UInt64
)
engine = MergeTree
order by id_hash
