-- Purpose:    Build the identifies anew in a full run, to take the place of the others at once.
-- Reads:      night_identifies
-- Writes:     identifies_next
-- Grain:      one row per identify
-- Parameters: none
-- Notes:      None.
insert into identifies_next (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at)
select customer_id, user_domain, user_id, visitor_id, occurred_at, received_at
from night_identifies
