-- Purpose:    Conversions that were computed anew and have no outcome, or more than one (R6).
-- Reads:      night_conversions, conversion_outcomes_versions, night_versions
-- Parameters: none
-- Notes:      As readers will see them, also of the days that keep their version.
with told as
(
    select ingest_id, count() as outcomes
    from conversion_outcomes_versions
    where (conversion_day, conversion_outcomes_versions.version)
            in (select day, night_versions.version from night_versions where table_name = 'conversion_outcomes')
        and ingest_id in (select ingest_id from night_conversions)
    group by ingest_id
)
select
    toString(night_conversions.ingest_id) as ingest_id,
    night_conversions.customer_id as customer_id,
    night_conversions.action_id as action_id,
    told.outcomes as outcomes
from night_conversions
left join told
    on night_conversions.ingest_id = told.ingest_id
where told.outcomes != 1
order by ingest_id
