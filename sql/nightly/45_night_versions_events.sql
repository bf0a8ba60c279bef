-- Purpose:    Say which version of sessions and exposures each day has, with what is staged and as it was.
-- Reads:      published_days, night_days, sessions_versions, exposures_versions
-- Writes:     night_versions
-- Grain:      one row per table and day
-- Parameters: full, forced, from_day, to_day, whole_from, whole_to, version
-- Notes:      A day whose visitors were computed anew and came out the same keeps its version; what was staged of
--             it is never published. The rows are compared by their hashes, which cancel out in a sum. Days of a
--             range, and in a full run all days, that were published before and have no rows now are staged empty.
insert into night_versions (table_name, day, version, old_version)
with
    published as
    (
        select
            day,
            argMax(sessions_version, published_days.version) as old_sessions_version,
            argMax(exposures_version, published_days.version) as old_exposures_version
        from published_days
        group by day
    ),
    days as
    (
        select 'sessions' as table_name, session_day as day, count() > 0 as is_staged, 0 as old_version
        from sessions_versions
        where sessions_versions.version = {version:UInt64}
            and ({full:UInt8} = 1 or session_day between {whole_from:Date} and {whole_to:Date})
        group by session_day
        union all
        select 'exposures', day, count() > 0, 0
        from exposures_versions
        where exposures_versions.version = {version:UInt64}
            and ({full:UInt8} = 1 or day between {whole_from:Date} and {whole_to:Date})
        group by day
        union all
        select
            'sessions',
            session_day,
            sum(
                if(sessions_versions.version = {version:UInt64}, 1, -1)
                    * cityHash64(customer_id, visitor_id, started_at, last_event_at, expires_at, events, views, chain_started_at)
            ) != 0,
            0
        from sessions_versions
        where {full:UInt8} = 0
            and session_day not between {whole_from:Date} and {whole_to:Date}
            and session_day in (select night_days.day from night_days)
            and visitor_id in (select visitor_id from night_days) -- a text is looked up faster than a tuple
            and
            (
                sessions_versions.version = {version:UInt64}
                or (session_day, sessions_versions.version) in (select published.day, old_sessions_version from published)
                    and (session_day, customer_id, visitor_id) in (select night_days.day, customer_id, visitor_id from night_days)
            )
        group by session_day
        union all
        select
            'exposures',
            day,
            sum(
                if(exposures_versions.version = {version:UInt64}, 1, -1)
                    * cityHash64(customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, last_viewed_at, views)
            ) != 0,
            0
        from exposures_versions
        where {full:UInt8} = 0
            and day not between {whole_from:Date} and {whole_to:Date}
            and day in (select night_days.day from night_days where cause != '')
            and visitor_id in (select visitor_id from night_days where cause != '')
            and
            (
                exposures_versions.version = {version:UInt64}
                or (day, exposures_versions.version) in (select published.day, old_exposures_version from published)
                    and (day, customer_id, visitor_id) in (select night_days.day, customer_id, visitor_id from night_days where cause != '')
            )
        group by day
        union all
        select
            old.1,
            day,
            {full:UInt8} = 1 or {forced:UInt8} = 1 and day between {from_day:Date} and {to_day:Date},
            old.2
        from published
        array join [('sessions', old_sessions_version), ('exposures', old_exposures_version)] as old
    )
select
    table_name,
    day,
    if(max(is_staged) = 1, {version:UInt64}, max(days.old_version)),
    max(days.old_version)
from days
group by table_name, day
