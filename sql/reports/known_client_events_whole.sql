-- Purpose:    Which client events of a batch of an import are there already, in all that they hold.
-- Reads:      client_events, import_ids
-- Grain:      one row per client event with an id of the batch
-- Parameters: batch_id, from_day, to_day, since
-- Notes:      For ids that were given to the lines: one id may be that of several events (R5). What became visible later is the import's own.
select distinct
    customer_id,
    visitor_id,
    toString(type) as type,
    optimization_id,
    variation_id,
    attributes,
    user_domain,
    user_id,
    occurred_at,
    received_at,
    ingest_id
from client_events
where toDate(occurred_at) between {from_day:Date} and {to_day:Date}
    and inserted_at < {since:DateTime64(3, 'UTC')}
    and ingest_id in (select import_ids.ingest_id from import_ids where batch_id = {batch_id:UUID})
