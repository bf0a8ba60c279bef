-- Purpose:    Publish the staged days: from this insert on readers see the version (R8).
-- Reads:      night_versions
-- Writes:     published_days
-- Grain:      one row per day published
-- Parameters: cutoff, from_day, to_day, version, run_id
-- Notes:      All days and all four tables at once.
insert into published_days (day, version, run_id, cutoff, events_version, conversions_version)
select
    day,
    {version:UInt64},
    {run_id:String},
    {cutoff:DateTime64(3, 'UTC')},
    events_version,
    conversions_version
from night_versions
where (events_staged or conversions_staged)
    and day between {from_day:Date} and {to_day:Date}
