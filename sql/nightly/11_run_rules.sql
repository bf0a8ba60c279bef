-- Purpose:    Keep the attribution rules as this run sees them.
-- Reads:      event_rules
-- Writes:     run_rules
-- Runs:       home
-- Grain:      one row per (event, interval) of which something else than session, last holds
-- Parameters: version
-- Notes:      All later steps read them here, so that a change of rules under way is in all of them or in none.
insert into run_rules (customer_id, event_id, window_days, credit, valid_from, valid_to, version)
select customer_id, event_id, window_days, credit, valid_from, valid_to, {version:UInt64}
from event_rules
