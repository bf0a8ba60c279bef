-- Purpose:    Note why each day is computed anew.
-- Reads:      night_days, sessions_versions, client_events, night_keys, night_key_days, night_versions
-- Writes:     run_days
-- Grain:      one row per (account, day, cause)
-- Parameters: full, forced, cutoff, run_id, version, from_day, to_day, whole_from, whole_to, visible_since, low, high
-- Notes:      A full run, and one over a range, has a row a day for all accounts. All visitors of a new day are new to
--             it, so the sessions staged tell them; of a range only those with changed events are counted.
insert into run_days (run_id, customer_id, day, cause, items, cutoff)
with reasons as
(
    select customer_id, day, 'client_event' as cause, uniqExact(visitor_id) as items
    from night_days
    where cause != ''
        or day in (select night_versions.day from night_versions where table_name = 'sessions' and version = {version:UInt64})
    group by customer_id, day
    union all
    select
        customer_id,
        arrayJoin(arrayDistinct([session_day, toDate(last_event_at)])) as day,
        'client_event',
        uniqExact(visitor_id)
    from sessions_versions
    where {full:UInt8} = 0
        and {forced:UInt8} = 0
        and sessions_versions.version = {version:UInt64}
        and toDate(last_event_at) between {whole_from:Date} and {whole_to:Date} + 1
    group by customer_id, day
    having day between {whole_from:Date} and {whole_to:Date}
    union all
    select customer_id, toDate(occurred_at) as day, 'client_event', uniqExact(visitor_id)
    from client_events
    where {full:UInt8} = 0
        and {forced:UInt8} = 1
        and toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
        and received_at < {high:DateTime64(3, 'UTC')}
        and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
    group by customer_id, day
    union all
    select night_keys.customer_id, night_key_days.day as day, night_keys.cause as cause, uniqExact(night_keys.api_name, night_keys.action_id)
    from night_keys
    inner join night_key_days
        on night_keys.customer_id = night_key_days.customer_id
        and night_keys.api_name = night_key_days.api_name
        and night_keys.action_id = night_key_days.action_id
    group by night_keys.customer_id, day, cause
    union all
    select '', day, if({full:UInt8} = 1, 'full', 'rerun'), toUInt64(0)
    from night_versions
    where {full:UInt8} = 1 or {forced:UInt8} = 1
)
select {run_id:String}, customer_id, day, cause, sum(items), {cutoff:DateTime64(3, 'UTC')}
from reasons
where day between {from_day:Date} and {to_day:Date}
group by customer_id, day, cause
