-- Purpose:    The days of the conversions that a run decides.
-- Reads:      night_conversions
-- Grain:      one row per day
-- Parameters: none
select distinct toDate(converted_at) as day
from night_conversions
order by day
