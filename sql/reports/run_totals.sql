-- Purpose:    Count what a run has staged to be published.
-- Reads:      sessions_versions, exposures_versions, entries_versions, decisions_versions, night_versions
-- Grain:      one row
-- Parameters: version
-- Notes:      Rows carried over from the version before are counted too. Those of a day that came out as it was are not
--             published. A decision is an outcome and as many attributions as it has credits.
with staged as
(
    select table_name, day
    from night_versions
    where version = {version:UInt64}
)
select
    (select uniqExact(day) from staged) as days,
    (select count() from sessions_versions where version = {version:UInt64} and day in (select staged.day from staged where table_name = 'sessions_versions'))
        + (select count() from exposures_versions where version = {version:UInt64} and day in (select staged.day from staged where table_name = 'exposures_versions'))
        + (select count() from entries_versions where version = {version:UInt64} and day in (select staged.day from staged where table_name = 'entries_versions'))
        + (select count() + sum(length(credits.optimization_id)) from decisions_versions where version = {version:UInt64} and day in (select staged.day from staged where table_name = 'decisions_versions')) as rows
