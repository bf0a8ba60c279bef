-- Purpose:    Stage the sessions of the visitor-days computed anew (R1).
-- Reads:      client_events, night_doubles, night_days
-- Writes:     sessions_versions
-- Grain:      one row per session, of the UTC day of its start (R7)
-- Parameters: full, whole_from, whole_to, cutoff, doubled, version, session_gap_minutes, session_cap_hours, long_day,
--             slice_first_customer, slice_first_visitor, slice_end_customer, slice_end_visitor, slice_last, slice_threads
-- Notes:      A run of events without a gap is a session, unless it reaches the cap: then it waits under long_day to
--             be cut by 31 to 33. Days computed whole need no look into the list, so the listed visitor-days are
--             read apart, by the visitor alone first: one text is looked up three times as fast as a tuple. A
--             visitor's moments are sorted as numbers, the type in the lowest bit. No array is used inside the
--             lambda of another one: each of its elements would carry a copy. Slices of the visitors, in the order
--             of the table, bound the memory whatever the number of rows; ClickHouse looks them up in each branch of the
--             union. Readers see the sessions once
--             published_days names the version.
insert into sessions_versions
    (customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views,
     chain_started_at, version)
with
    toInt64({session_gap_minutes:UInt32}) * 60000 as gap_ms,
    toInt64({session_cap_hours:UInt32}) * 3600000 as cap_ms,
    moments as
    (
        select customer_id, visitor_id, code
        from
        (
            select customer_id, visitor_id, toUnixTimestamp64Milli(occurred_at) * 2 + (type = 'view') as code
            from client_events
            where received_at < {cutoff:DateTime64(3, 'UTC')}
                and ({full:UInt8} = 1 or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date})
                and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
            union all
            select customer_id, visitor_id, toUnixTimestamp64Milli(occurred_at) * 2 + (type = 'view') as code
            from client_events
            where {full:UInt8} = 0
                and toDate(occurred_at) not between {whole_from:Date} and {whole_to:Date}
                and visitor_id in (select visitor_id from night_days)
                and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
                and received_at < {cutoff:DateTime64(3, 'UTC')}
                and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
            union all
            select customer_id, visitor_id, toUnixTimestamp64Milli(occurred_at) * 2 + (type = 'view') as code
            from night_doubles
            where
                (
                    {full:UInt8} = 1
                    or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                    or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
                )
        )
        where (customer_id > {slice_first_customer:String}
                or customer_id = {slice_first_customer:String} and visitor_id >= {slice_first_visitor:String})
            and ({slice_last:UInt8} = 1
                or customer_id < {slice_end_customer:String}
                or customer_id = {slice_end_customer:String} and visitor_id < {slice_end_visitor:String})
    ),
    visitors as
    (
        select customer_id, visitor_id, arraySort(groupArray(code)) as codes
        from moments
        group by customer_id, visitor_id
    ),
    -- Look back: is this moment a gap or more after the one before, or the first?
    gaps_marked as
    (
        select
            customer_id,
            visitor_id,
            arrayMap(code -> bitShiftRight(code, 1), codes) as moments_ms,
            arrayPushFront(arrayPopFront(arrayMap(step_ms -> step_ms >= gap_ms, arrayDifference(moments_ms))), true) as opens,
            arrayPushBack(arrayPopFront(opens), true) as closes,
            arrayCumSum(arrayMap(code -> bitAnd(code, 1), codes)) as views_so_far
        from visitors
    ),
    stretches as
    (
        select
            customer_id,
            visitor_id,
            arrayFilter((moment_ms, is_first) -> is_first, moments_ms, opens) as all_first_ms,
            arrayFilter((moment_ms, is_last) -> is_last, moments_ms, closes) as all_last_ms,
            arrayFilter((position, is_last) -> is_last, arrayEnumerate(moments_ms), closes) as positions,
            arrayFilter((views, is_last) -> is_last, views_so_far, closes) as view_positions
        from gaps_marked
    )
select
    customer_id,
    visitor_id,
    if(last_ms - first_ms < cap_ms, toDate(started_at), {long_day:Date}),
    fromUnixTimestamp64Milli(first_ms, 'UTC') as started_at,
    fromUnixTimestamp64Milli(last_ms, 'UTC') as last_event_at,
    least(
        last_event_at + toIntervalMinute({session_gap_minutes:UInt32}),
        started_at + toIntervalHour({session_cap_hours:UInt32})
    ),
    position - position_before,
    views - views_before,
    started_at,
    {version:UInt64}
from stretches
array join
    all_first_ms as first_ms,
    all_last_ms as last_ms,
    positions as position,
    arrayPushFront(arrayPopBack(positions), 0) as position_before,
    view_positions as views,
    arrayPushFront(arrayPopBack(view_positions), 0) as views_before
settings max_threads = {slice_threads:UInt64}
