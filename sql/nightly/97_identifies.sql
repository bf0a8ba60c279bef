-- Purpose:    Remember the identifies for the next run.
-- Reads:      night_identifies
-- Writes:     identifies
-- Grain:      one row per identify
-- Parameters: none
-- Notes:      After the publication: a run that is killed before has told the next one nothing. Those received
--             after the cutoff of a later, earlier run stay, and are told apart by their time.
insert into identifies (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at)
select customer_id, user_domain, user_id, visitor_id, occurred_at, received_at
from night_identifies
