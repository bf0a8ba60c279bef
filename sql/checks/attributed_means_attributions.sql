-- Purpose:    Conversions whose outcome and attribution rows contradict each other (R4, R6).
-- Reads:      conversion_outcomes_versions, attributions_versions
-- Parameters: version
with attributed as
(
    select ingest_id
    from attributions_versions
    where version = {version:UInt64}
)
select
    toString(ingest_id) as ingest_id,
    customer_id,
    action_id,
    outcome
from conversion_outcomes_versions
where version = {version:UInt64}
    and (outcome = 'attributed') != (ingest_id in (select ingest_id from attributed))
order by ingest_id
