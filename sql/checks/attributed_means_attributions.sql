-- Purpose:    Decisions whose outcome and credits contradict each other (R4, R6).
-- Reads:      decisions_versions
-- Runs:       home
-- Parameters: version
select toString(ingest_id) as ingest_id, customer_id, action_id, outcome
from decisions_versions
where version = {version:UInt64}
    and (outcome = 'attributed') != notEmpty(credits.optimization_id)
order by ingest_id
