-- Purpose:    Carry over the exposures of the other visitors of the days staged.
-- Reads:      exposures_versions, night_versions, night_days
-- Writes:     exposures_versions
-- Grain:      one row per exposure
-- Parameters: full, whole_from, whole_to, version
-- Notes:      Of days computed whole nothing is carried over.
insert into exposures_versions
    (customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, last_viewed_at, views, version)
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    day,
    first_viewed_at,
    last_viewed_at,
    views,
    {version:UInt64}
from exposures_versions
where {full:UInt8} = 0
    and day not between {whole_from:Date} and {whole_to:Date}
    and (day, exposures_versions.version)
        in (select night_versions.day, old_version from night_versions where table_name = 'exposures' and night_versions.version = {version:UInt64})
    and (day, customer_id, visitor_id) not in (select night_days.day, customer_id, visitor_id from night_days where cause != '')
settings max_insert_threads = 4
