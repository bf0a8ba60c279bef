-- Purpose:    Conversions to decide that have no outcome, or more than one (R6).
-- Reads:      night_conversions, decisions_versions, night_versions
-- Runs:       home
-- Parameters: cutoff
-- Notes:      As readers will see them, also of the days that keep their version.
with decided as
(
    select customer_id, api_name, action_id, ingest_id, count() as outcomes
    from decisions_versions
    where (day, decisions_versions.version) in (select day, night_versions.version from night_versions where table_name = 'decisions_versions')
        and ingest_id in (select ingest_id from night_conversions)
    group by customer_id, api_name, action_id, ingest_id
)
select
    toString(night_conversions.ingest_id) as ingest_id,
    night_conversions.customer_id as customer_id,
    night_conversions.action_id as action_id,
    decided.outcomes as outcomes
from night_conversions
left join decided
    on night_conversions.customer_id = decided.customer_id
    and night_conversions.api_name = decided.api_name
    and night_conversions.action_id = decided.action_id
    and night_conversions.ingest_id = decided.ingest_id
where night_conversions.received_at < {cutoff:DateTime64(3, 'UTC')}
    and decided.outcomes != 1
order by ingest_id
