-- Purpose:    The days of a range that have client events.
-- Reads:      client_events
-- Grain:      one row per day, with how many there are
-- Parameters: range_from, range_to
select toDate(occurred_at) as day, count() as rows
from client_events
where day between {range_from:Date} and {range_to:Date}
group by day
order by day
