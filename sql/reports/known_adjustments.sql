-- Purpose:    Which adjustments of a batch of an import are there already.
-- Reads:      adjustments, import_ids
-- Grain:      one row per ingest_id
-- Parameters: batch_id, from_day, to_day, since
-- Notes:      What became visible later is the import's own.
select distinct ingest_id
from adjustments
where toDate(adjusted_at) between {from_day:Date} and {to_day:Date}
    and inserted_at < {since:DateTime64(3, 'UTC')}
    and ingest_id in (select import_ids.ingest_id from import_ids where batch_id = {batch_id:UUID})
