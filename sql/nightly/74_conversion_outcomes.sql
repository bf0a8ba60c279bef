-- Purpose:    Stage the outcomes of the days that have changed: those computed anew, and of the other
--             conversions those published.
-- Reads:      night_outcomes, conversion_outcomes_versions, night_versions, night_keys
-- Writes:     conversion_outcomes_versions
-- Grain:      one row per conversion received
-- Parameters: full, forced, from_day, to_day, version, day_share, day_shares
-- Notes:      One insert for a day, so that it is one part; a share of the days each, as one insert has one thread to
--             write with. Of a range asked for nothing is carried over.
insert into conversion_outcomes_versions
    (customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome, version)
with staged_days as
(
    select day, old_version
    from night_versions
    where table_name = 'conversion_outcomes'
        and night_versions.version = {version:UInt64}
        and toRelativeDayNum(day) % {day_shares:UInt8} = {day_share:UInt8}
)
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
from night_outcomes
where conversion_day in (select day from staged_days)
union all
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
    and (conversion_day, conversion_outcomes_versions.version) in (select day, old_version from staged_days)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
