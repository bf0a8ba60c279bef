-- Purpose:    Say which version of attributions and outcomes each day has, with what is staged and as it was.
-- Reads:      published_days, night_keys, night_key_days, night_attributions, attributions_versions, night_outcomes,
--             conversion_outcomes_versions
-- Writes:     night_versions
-- Grain:      one row per table and day
-- Parameters: full, forced, from_day, to_day, version
-- Notes:      A day whose conversions were computed anew and came out the same keeps its version. The rows are
--             compared by their hashes, which cancel out in a sum. Days of a range, and in a full run all days, are
--             staged whatever came out.
insert into night_versions (table_name, day, version, old_version)
with
    published as
    (
        select
            day,
            argMax(attributions_version, published_days.version) as old_attributions_version,
            argMax(outcomes_version, published_days.version) as old_outcomes_version
        from published_days
        group by day
    ),
    attributions as
    (
        select
            conversion_day as day,
            toInt64(cityHash64(
                customer_id, event_id, api_name, action_id, user_domain, user_id, converted_at, ifNull(toString(value), ''),
                optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id
            )) as row_hash
        from night_attributions
        union all
        select
            conversion_day,
            -toInt64(cityHash64(
                customer_id, event_id, api_name, action_id, user_domain, user_id, converted_at, ifNull(toString(value), ''),
                optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id
            ))
        from attributions_versions
        where (conversion_day, version) in (select published.day, old_attributions_version from published)
            and conversion_day in (select night_key_days.day from night_key_days)
            and action_id in (select action_id from night_keys)
            and (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys)
    ),
    outcomes as
    (
        select conversion_day as day, toInt64(cityHash64(customer_id, api_name, action_id, converted_at, received_at, ingest_id, outcome)) as row_hash
        from night_outcomes
        union all
        select conversion_day, -toInt64(cityHash64(customer_id, api_name, action_id, converted_at, received_at, ingest_id, outcome))
        from conversion_outcomes_versions
        where (conversion_day, version) in (select published.day, old_outcomes_version from published)
            and conversion_day in (select night_key_days.day from night_key_days)
            and action_id in (select action_id from night_keys)
            and (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys)
    ),
    days as
    (
        select 'attributions' as table_name, day, sum(row_hash) != 0 as is_staged, 0 as old_version
        from attributions
        group by day
        union all
        select 'conversion_outcomes', day, sum(row_hash) != 0, 0
        from outcomes
        group by day
        union all
        select
            old.1,
            day,
            {full:UInt8} = 1 or {forced:UInt8} = 1 and day between {from_day:Date} and {to_day:Date},
            old.2
        from published
        array join [('attributions', old_attributions_version), ('conversion_outcomes', old_outcomes_version)] as old
    )
select
    table_name,
    day,
    if(max(is_staged) = 1, {version:UInt64}, max(days.old_version)),
    max(days.old_version)
from days
group by table_name, day
