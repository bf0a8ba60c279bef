-- Purpose:    Publish the staged days: from this insert on readers see the version (R8).
-- Reads:      sessions_versions, exposures_versions, attributions_versions,
--             conversion_outcomes_versions, published_days
-- Writes:     published_days
-- Grain:      one row per day published
-- Parameters: cutoff, from_day, to_day, version, run_id
-- Notes:      Days of the range that were published before and have no rows now are published empty.
insert into published_days (day, version, run_id, cutoff)
with staged_days as
(
    select session_day as day from sessions_versions where version = {version:UInt64}
    union distinct
    select day from exposures_versions where version = {version:UInt64}
    union distinct
    select conversion_day as day from attributions_versions where version = {version:UInt64}
    union distinct
    select conversion_day as day from conversion_outcomes_versions where version = {version:UInt64}
    union distinct
    select day from published_days where day between {from_day:Date} and {to_day:Date}
)
select distinct
    day,
    {version:UInt64},
    {run_id:String},
    {cutoff:DateTime64(3, 'UTC')}
from staged_days
