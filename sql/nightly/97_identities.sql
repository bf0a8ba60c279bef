-- Purpose:    Remember the links for the next run.
-- Reads:      night_identities
-- Writes:     identities
-- Grain:      one row per (account, user id, visitor)
-- Parameters: none
-- Notes:      After the publication: a run that is killed before has told the next one nothing. Links received
--             after the cutoff of a later, earlier run stay, and are told apart by their time.
insert into identities (customer_id, user_domain, user_id, visitor_id, linked_at)
select customer_id, user_domain, user_id, visitor_id, linked_at
from night_identities
