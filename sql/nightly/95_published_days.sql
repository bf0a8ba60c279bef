-- Purpose:    Publish the staged days: from this insert on readers see the version (R8).
-- Reads:      night_versions
-- Writes:     published_days
-- Grain:      one row per day published
-- Parameters: cutoff, from_day, to_day, version, run_id, fence
-- Notes:      All days and all four tables at once. Nothing if another run has taken the lock over: there is a
--             later one than fence then.
insert into published_days
    (day, version, run_id, cutoff, sessions_version, exposures_version, attributions_version, outcomes_version)
select
    day,
    {version:UInt64},
    {run_id:String},
    {cutoff:DateTime64(3, 'UTC')},
    maxIf(night_versions.version, table_name = 'sessions'),
    maxIf(night_versions.version, table_name = 'exposures'),
    maxIf(night_versions.version, table_name = 'attributions'),
    maxIf(night_versions.version, table_name = 'conversion_outcomes')
from night_versions
where day between {from_day:Date} and {to_day:Date}
    and not exists
    (
        select 1 from system.tables
        where {fence:String} != '' and database = currentDatabase() and startsWith(name, 'lock_run_') and name > {fence:String}
    )
group by day
having max(night_versions.version) = {version:UInt64}
