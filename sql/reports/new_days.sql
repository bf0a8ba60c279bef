-- Purpose:    The days of the client events that are new to a run.
-- Reads:      new_client_events
-- Runs:       shards
-- Grain:      one row per day, with how many there are
-- Parameters: visible_since, low, high
select toDate(occurred_at) as day, count() as rows
from new_client_events
(
    visible_since = {visible_since:DateTime64(3, 'UTC')},
    low = {low:DateTime64(3, 'UTC')},
    high = {high:DateTime64(3, 'UTC')}
)
group by day
order by day
