-- Purpose:    Count what a run has staged to be published.
-- Reads:      sessions_versions, exposures_versions, attributions_versions,
--             conversion_outcomes_versions, night_versions
-- Grain:      one row
-- Parameters: version, from_day, to_day
-- Notes:      Rows carried over from the version before are counted too. Rows of a day that came out as they
--             were are not published.
with staged as
(
    select table_name, day
    from night_versions
    where version = {version:UInt64} and day between {from_day:Date} and {to_day:Date}
)
select
    (select uniqExact(day) from staged) as days,
    (select count() from sessions_versions where version = {version:UInt64} and session_day in (select day from staged where table_name = 'sessions'))
        + (select count() from exposures_versions where version = {version:UInt64} and day in (select staged.day from staged where table_name = 'exposures'))
        + (select count() from attributions_versions where version = {version:UInt64} and conversion_day in (select day from staged where table_name = 'attributions'))
        + (select count() from conversion_outcomes_versions where version = {version:UInt64} and conversion_day in (select day from staged where table_name = 'conversion_outcomes')) as rows
