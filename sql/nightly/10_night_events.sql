-- Purpose:    Take each client event once, the copy that was received first (R5).
-- Reads:      client_events
-- Writes:     night_events
-- Grain:      one row per ingest_id received before the cutoff
-- Parameters: cutoff
-- Notes:      The columns after received_at only make the choice between copies that were received
--             in the same millisecond repeatable.
insert into night_events
    (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at)
select
    customer_id,
    visitor_id,
    type,
    optimization_id,
    variation_id,
    user_domain,
    user_id,
    occurred_at,
    received_at
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
order by
    received_at, occurred_at, customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id
limit 1 by ingest_id
