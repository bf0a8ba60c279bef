-- Purpose:    Cut each visitor's client events where nothing happened for a gap (R1).
-- Reads:      client_events, night_doubles, night_days
-- Writes:     night_stretches
-- Grain:      one row per run of events without a gap
-- Parameters: full, whole_from, whole_to, cutoff, session_gap_minutes, slice_first_customer, slice_first_visitor,
--             slice_end_customer, slice_end_visitor, slice_last
-- Notes:      A visitor's moments are sorted as numbers, the type in the lowest bit. No array is used inside the
--             lambda of another one: each of its elements would carry a copy. Slices of the visitors, in the order
--             of the table, bound the memory whatever the number of rows.
insert into night_stretches (customer_id, visitor_id, first_at, last_at, events, views)
with
    toInt64({session_gap_minutes:UInt32}) * 60000 as gap_ms,
    moments as
    (
        select customer_id, visitor_id, toUnixTimestamp64Milli(occurred_at) * 2 + (type = 'view') as code
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and
            (
                {full:UInt8} = 1
                or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            )
            and ingest_id not in (select ingest_id from night_doubles)
            and (customer_id > {slice_first_customer:String}
                or customer_id = {slice_first_customer:String} and visitor_id >= {slice_first_visitor:String})
            and ({slice_last:UInt8} = 1
                or customer_id < {slice_end_customer:String}
                or customer_id = {slice_end_customer:String} and visitor_id < {slice_end_visitor:String})
        union all
        select customer_id, visitor_id, toUnixTimestamp64Milli(occurred_at) * 2 + (type = 'view') as code
        from night_doubles
        where
            (
                {full:UInt8} = 1
                or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            )
            and (customer_id > {slice_first_customer:String}
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
            arrayFilter((moment_ms, is_first) -> is_first, moments_ms, opens) as first_ms,
            arrayFilter((moment_ms, is_last) -> is_last, moments_ms, closes) as last_ms,
            arrayFilter((position, is_last) -> is_last, arrayEnumerate(moments_ms), closes) as positions,
            arrayFilter((views, is_last) -> is_last, views_so_far, closes) as view_positions
        from gaps_marked
    )
select
    customer_id,
    visitor_id,
    fromUnixTimestamp64Milli(stretch_first_ms, 'UTC'),
    fromUnixTimestamp64Milli(stretch_last_ms, 'UTC'),
    position - position_before,
    views - views_before
from stretches
array join
    first_ms as stretch_first_ms,
    last_ms as stretch_last_ms,
    positions as position,
    arrayPushFront(arrayPopBack(positions), 0) as position_before,
    view_positions as views,
    arrayPushFront(arrayPopBack(view_positions), 0) as views_before
