-- Purpose:    Count what a run published.
-- Reads:      sessions_versions, exposures_versions, attributions_versions,
--             conversion_outcomes_versions, published_days
-- Grain:      one row
-- Parameters: version
select
    (select count() from published_days where version = {version:UInt64}) as days,
    (select count() from sessions_versions where version = {version:UInt64})
        + (select count() from exposures_versions where version = {version:UInt64})
        + (select count() from attributions_versions where version = {version:UInt64})
        + (select count() from conversion_outcomes_versions where version = {version:UInt64}) as rows
