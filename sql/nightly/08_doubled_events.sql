-- Purpose:    Remember all copies of the doubled events that were found (R5).
-- Reads:      client_events, night_doubled_ids
-- Writes:     doubled_events
-- Grain:      one row per copy
-- Parameters: high, copies_since
-- Notes:      What was written twice stays so: a run that is killed afterwards has told the next one no untruth.
insert into doubled_events
    (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id)
select
    customer_id,
    visitor_id,
    type,
    optimization_id,
    variation_id,
    user_domain,
    user_id,
    occurred_at,
    received_at,
    ingest_id
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and ingest_id in (select ingest_id from night_doubled_ids)
