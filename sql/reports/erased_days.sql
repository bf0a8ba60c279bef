-- Purpose:    The days on which a person that is being erased had client events.
-- Reads:      erased_days
-- Grain:      one row per day, with how many there were
-- Parameters: none
select day, sum(erased_days.rows) as rows
from erased_days
group by day
order by day
