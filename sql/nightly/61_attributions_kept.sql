-- Purpose:    Carry over the attributions of the other conversions of the days staged.
-- Reads:      attributions_versions, night_versions, night_keys
-- Writes:     attributions_versions
-- Grain:      one row per attribution
-- Parameters: full, forced, from_day, to_day, version
-- Notes:      Of a range asked for nothing is carried over.
insert into attributions_versions
    (customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value,
     optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id, version)
select
    customer_id,
    conversion_day,
    event_id,
    api_name,
    action_id,
    user_domain,
    user_id,
    converted_at,
    value,
    optimization_id,
    variation_id,
    visitor_id,
    session_started_at,
    viewed_at,
    ingest_id,
    {version:UInt64}
from attributions_versions
where {full:UInt8} = 0
    and not ({forced:UInt8} = 1 and conversion_day between {from_day:Date} and {to_day:Date})
    and (conversion_day, attributions_versions.version)
        in (select day, old_conversions_version from night_versions where conversions_staged)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
