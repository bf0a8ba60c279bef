-- Purpose:    Keep the identifies that are new to this run, in the order of users (R2).
-- Reads:      new_client_events
-- Writes:     identifies
-- Runs:       home
-- Grain:      one row per identify
-- Parameters: visible_since, low, high
-- Notes:      Copies under one ingest_id link, too. A row's own times show whether it is new, so a run that is killed after
--             this step hides nothing from the next one.
insert into identifies (customer_id, user_domain, user_id, visitor_id, occurred_at, received_at, inserted_at)
select customer_id, user_domain, user_id, visitor_id, occurred_at, received_at, inserted_at
from new_client_events
(
    visible_since = {visible_since:DateTime64(3, 'UTC')},
    low = {low:DateTime64(3, 'UTC')},
    high = {high:DateTime64(3, 'UTC')}
)
where type = 'identify'
