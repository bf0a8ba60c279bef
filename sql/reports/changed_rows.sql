-- Purpose:    Count the client events that are new to a run.
-- Reads:      client_events
-- Grain:      one row
-- Parameters: visible_since, low, high
-- Notes:      Either visible since the last run or received between the cutoffs, as in the steps.
select count() as rows, min(received_at) as first_received_at
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
