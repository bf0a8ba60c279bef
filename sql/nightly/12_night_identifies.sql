-- Purpose:    Take the identifies of the rows that have changed (R2).
-- Reads:      client_events
-- Writes:     night_identifies
-- Grain:      one row per identify, copies of one once
-- Parameters: full, visible_since, low, high
-- Notes:      Copies under one ingest_id link, too. A full run takes all rows.
insert into night_identifies (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at)
select distinct customer_id, user_domain, user_id, visitor_id, occurred_at, received_at
from client_events
where type = 'identify'
    and received_at < {high:DateTime64(3, 'UTC')}
    and ({full:UInt8} = 1 or (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')}))
