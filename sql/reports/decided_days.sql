-- Purpose:    The days of the conversions that a run decides.
-- Reads:      night_conversions, erased_keys
-- Grain:      one row per day
-- Parameters: none
select day
from
(
    select toDate(converted_at) as day from night_conversions
    union distinct
    select erased_keys.day from erased_keys
)
order by day
