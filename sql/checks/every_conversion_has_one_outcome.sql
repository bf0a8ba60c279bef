-- Purpose:    Conversions of the staged days that have no outcome, or more than one (R6).
-- Reads:      night_conversions, conversion_outcomes_versions
-- Parameters: version
with told as
(
    select ingest_id, count() as outcomes
    from conversion_outcomes_versions
    where version = {version:UInt64}
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
