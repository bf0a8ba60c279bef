-- Purpose:    Say which version of each day holds what, with what is staged and as it was.
-- Reads:      published_days, night_days, conversions, night_keys, night_conversions, sessions_versions, exposures_versions
-- Writes:     night_versions
-- Grain:      one row per day
-- Parameters: full, forced, from_day, to_day, version
-- Notes:      Days of a range, and in a full run all days, that were published before and have no rows now are
--             staged empty.
insert into night_versions
    (day, events_version, conversions_version, old_events_version, old_conversions_version, events_staged, conversions_staged)
with
    staged_days as
    (
        select day, 1 as of_events, 0 as of_conversions
        from night_days
        union all
        select toDate(action_at), 0, 1
        from conversions
        where {full:UInt8} = 0
            and (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys)
        union all
        select toDate(converted_at), 0, 1
        from night_conversions
        union all
        select session_day, 1, 0
        from sessions_versions
        where version = {version:UInt64}
        union all
        select day, 1, 0
        from exposures_versions
        where version = {version:UInt64}
        union all
        select
            day,
            {full:UInt8} = 1 or {forced:UInt8} = 1 and day between {from_day:Date} and {to_day:Date} as of_both,
            of_both
        from published_days
    ),
    staged as
    (
        select day, max(of_events) as events_staged, max(of_conversions) as conversions_staged
        from staged_days
        group by day
    ),
    published as
    (
        select
            day,
            argMax(events_version, version) as old_events_version,
            argMax(conversions_version, version) as old_conversions_version
        from published_days
        group by day
    )
select
    staged.day,
    if(staged.events_staged, {version:UInt64}, published.old_events_version),
    if(staged.conversions_staged, {version:UInt64}, published.old_conversions_version),
    published.old_events_version,
    published.old_conversions_version,
    staged.events_staged,
    staged.conversions_staged
from staged
left join published
    on staged.day = published.day
