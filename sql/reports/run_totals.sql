-- Purpose:    Count what a run has staged to be published.
-- Reads:      sessions_versions, exposures_versions, attributions_versions,
--             conversion_outcomes_versions, night_versions
-- Grain:      one row
-- Parameters: version, from_day, to_day
-- Notes:      Rows carried over from the version before are counted too.
select
    (
        select count()
        from night_versions
        where (events_staged or conversions_staged) and day between {from_day:Date} and {to_day:Date}
    ) as days,
    (select count() from sessions_versions where version = {version:UInt64} and session_day between {from_day:Date} and {to_day:Date})
        + (select count() from exposures_versions where version = {version:UInt64} and day between {from_day:Date} and {to_day:Date})
        + (select count() from attributions_versions where version = {version:UInt64} and conversion_day between {from_day:Date} and {to_day:Date})
        + (select count() from conversion_outcomes_versions where version = {version:UInt64} and conversion_day between {from_day:Date} and {to_day:Date}) as rows
