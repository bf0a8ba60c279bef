-- Purpose:    Take the links that the changed rows tell (R2).
-- Reads:      client_events, night_doubles
-- Writes:     night_identities
-- Grain:      one row per (account, user id, visitor)
-- Parameters: full, doubled, visible_since, low, high
-- Notes:      linked_at is when the first identify was received, not when it happened. A full run takes all rows.
insert into night_identities (customer_id, user_domain, user_id, visitor_id, linked_at)
with identifies as
(
    select customer_id, user_domain, user_id, visitor_id, received_at
    from client_events
    where type = 'identify'
        and received_at < {high:DateTime64(3, 'UTC')}
        and ({full:UInt8} = 1 or (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')}))
        and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
    union all
    select customer_id, user_domain, user_id, visitor_id, received_at
    from night_doubles
    where type = 'identify'
)
select customer_id, user_domain, user_id, visitor_id, min(received_at)
from identifies
group by customer_id, user_domain, user_id, visitor_id
