-- Purpose:    The version of each day that readers see.
-- Reads:      published_days
-- Grain:      one row per table and day
-- Parameters: none
select table_name, day, max(version) as version
from published_days
group by table_name, day
