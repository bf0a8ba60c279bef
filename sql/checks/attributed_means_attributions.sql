-- Purpose:    Conversions whose outcome and attribution rows contradict each other (R4, R6).
-- Reads:      conversion_outcomes_versions, attributions_versions, night_versions
-- Parameters: version
-- Notes:      Of the days of which either is staged, as readers will see them.
with
    staged as
    (
        select day
        from night_versions
        where table_name in ('attributions', 'conversion_outcomes') and version = {version:UInt64}
    ),
    attributed as
    (
        select ingest_id
        from attributions_versions
        where (conversion_day, attributions_versions.version)
            in (select day, night_versions.version from night_versions where table_name = 'attributions' and day in (select day from staged))
    ),
    told as
    (
        select ingest_id, customer_id, action_id, outcome
        from conversion_outcomes_versions
        where (conversion_day, conversion_outcomes_versions.version)
            in (select day, night_versions.version from night_versions where table_name = 'conversion_outcomes' and day in (select day from staged))
    )
select
    toString(ingest_id) as ingest_id,
    customer_id,
    action_id,
    outcome
from told
where (outcome = 'attributed') != (ingest_id in (select ingest_id from attributed))
order by ingest_id
