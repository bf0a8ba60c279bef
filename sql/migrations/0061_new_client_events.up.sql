-- The client events that a run has to look at: those that became visible since the last one read, and those received between
-- the cutoffs of the two, whichever of them is later (R8).
-- Lives:      both
create or replace view new_client_events
comment 'Client events new to a run: new_client_events(visible_since = …, low = …, high = …)'
as select customer_id, visitor_id, type, user_domain, user_id, occurred_at, received_at, inserted_at
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
