-- Purpose:    Build the links anew in a full run, to take the place of the others at once.
-- Reads:      night_identities
-- Writes:     identities_next
-- Grain:      one row per (account, user id, visitor)
-- Parameters: none
-- Notes:      None.
insert into identities_next (customer_id, user_domain, user_id, visitor_id, linked_at)
select customer_id, user_domain, user_id, visitor_id, linked_at
from night_identities
