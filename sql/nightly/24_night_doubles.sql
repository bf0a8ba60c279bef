-- Purpose:    Keep the copy of each doubled event that was received first: it counts (R5).
-- Reads:      client_events, night_doubled_ids
-- Writes:     night_doubles
-- Grain:      one row per doubled ingest_id
-- Parameters: cutoff, copies_since
-- Notes:      Only where there are any. All other steps leave the doubled events out and put these in. The
--             columns after received_at only make the choice between copies that were received in the
--             same millisecond repeatable.
insert into night_doubles
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
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and ingest_id in (select ingest_id from night_doubled_ids)
order by
    received_at, occurred_at, customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id
limit 1 by ingest_id
