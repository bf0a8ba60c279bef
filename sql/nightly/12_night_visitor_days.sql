-- Purpose:    List the visitor-days on which client events are new to this run.
-- Reads:      new_client_events, erased_days
-- Writes:     night_visitor_days
-- Runs:       shards
-- Grain:      one row per visitor-day
-- Parameters: visible_since, low, high, whole_days
-- Notes:      Days that are computed whole need no list. Those of a person that is being erased have no events any more.
insert into night_visitor_days (customer_id, visitor_id, day, cause)
select distinct customer_id, visitor_id, toDate(occurred_at) as day, 'client_event'
from new_client_events
(
    visible_since = {visible_since:DateTime64(3, 'UTC')},
    low = {low:DateTime64(3, 'UTC')},
    high = {high:DateTime64(3, 'UTC')}
)
where day not in {whole_days:Array(Date)}
union all
select customer_id, visitor_id, day, 'erasure'
from erased_days
where day not in {whole_days:Array(Date)}
