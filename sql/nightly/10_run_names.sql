-- Purpose:    Keep the event names as this run sees them.
-- Reads:      event_names
-- Writes:     run_names
-- Runs:       home
-- Grain:      one row per (event, name, interval)
-- Parameters: version
-- Notes:      All later steps read them here, so that a change of names under way is in all of them or in none.
insert into run_names (customer_id, event_id, api_name, valid_from, valid_to, version)
select customer_id, event_id, api_name, valid_from, valid_to, {version:UInt64}
from event_names
