-- Purpose:    Build the doubled events anew in a full run, to take the place of the others at once.
-- Reads:      client_events, night_doubled_ids
-- Writes:     doubled_events_next
-- Grain:      one row per copy
-- Parameters: high, copies_since
-- Notes:      None.
insert into doubled_events_next
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
