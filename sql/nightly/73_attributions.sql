-- Purpose:    Stage the attributions of the days that have changed: those computed anew, and of the other
--             conversions those published.
-- Reads:      night_attributions, attributions_versions, night_versions, night_keys
-- Writes:     attributions_versions
-- Grain:      one row per attribution
-- Parameters: full, forced, from_day, to_day, version
-- Notes:      One insert, so that a day is one part. Of a range asked for nothing is carried over.
insert into attributions_versions
    (customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value,
     optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id, version)
with staged_days as
(
    select day, old_version
    from night_versions
    where table_name = 'attributions' and night_versions.version = {version:UInt64}
)
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
from night_attributions
where conversion_day in (select day from staged_days)
union all
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
    and (conversion_day, attributions_versions.version) in (select day, old_version from staged_days)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
