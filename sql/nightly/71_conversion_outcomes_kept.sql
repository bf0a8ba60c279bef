-- Purpose:    Carry over the outcomes of the other conversions of the days staged.
-- Reads:      conversion_outcomes_versions, night_versions, night_keys
-- Writes:     conversion_outcomes_versions
-- Grain:      one row per conversion received
-- Parameters: full, forced, from_day, to_day, version
-- Notes:      Of a range asked for nothing is carried over.
insert into conversion_outcomes_versions
    (customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome, version)
select
    customer_id,
    conversion_day,
    api_name,
    action_id,
    converted_at,
    received_at,
    ingest_id,
    outcome,
    {version:UInt64}
from conversion_outcomes_versions
where {full:UInt8} = 0
    and not ({forced:UInt8} = 1 and conversion_day between {from_day:Date} and {to_day:Date})
    and (conversion_day, conversion_outcomes_versions.version)
        in (select day, old_conversions_version from night_versions where conversions_staged)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
