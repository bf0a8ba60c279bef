-- A day of which only outcomes changed keeps its attributions, and one whose sessions only grew its exposures:
-- each table has a version of its own. Rows of before have the two that were; later ones don't use those.
alter table published_days
    add column if not exists sessions_version UInt64 default events_version comment 'Version of sessions',
    add column if not exists exposures_version UInt64 default events_version comment 'Version of exposures',
    add column if not exists attributions_version UInt64 default conversions_version comment 'Version of attributions',
    add column if not exists outcomes_version UInt64 default conversions_version comment 'Version of conversion_outcomes',
    comment column events_version 'Of sessions and exposures, in rows of before there was one for each table',
    comment column conversions_version 'Of attributions and outcomes, in rows of before there was one for each table'
