-- Purpose:    Stage who saw which variation on a day (R9), or on several that are small and computed whole.
-- Reads:      night_events, client_events, exposures_versions, night_visitor_days
-- Writes:     exposures_versions
-- Runs:       shards
-- Grain:      one row per (account, optimization, variation, visitor, day)
-- Parameters: day, last_day, whole, has_copies, cutoff, version, version_of_day, slice_first_customer, slice_first_visitor, slice_end_customer,
--             slice_end_visitor, slice_last
-- Notes:      Slices keep the groups in the processor's cache. On a day with copies (R5) the events are read in the order of the
--             table, where a copy lies behind the event that it repeats; on others that would only take time. A moment and its receipt
--             are one number of 128 bits, the moment in its upper half: a tuple's minimum takes four times as long.
insert into exposures_versions
    (customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, first_received_at, last_viewed_at, last_received_at, views, version)
with
    events as
    (
        select customer_id, visitor_id, type, optimization_id, variation_id, occurred_at, received_at, ingest_id
        from night_events
        (
            day = {day:Date},
            whole = {whole:UInt8},
            cutoff = {cutoff:DateTime64(3, 'UTC')},
            slice_first_customer = {slice_first_customer:String},
            slice_first_visitor = {slice_first_visitor:String},
            slice_end_customer = {slice_end_customer:String},
            slice_end_visitor = {slice_end_visitor:String},
            slice_last = {slice_last:UInt8}
        )
    ),
    looked_back as
    (
        select
            customer_id,
            visitor_id,
            type,
            optimization_id,
            variation_id,
            occurred_at,
            received_at,
            occurred_at = lagInFrame(occurred_at) over visitor and ingest_id = lagInFrame(ingest_id) over visitor as is_copy
        from events
        where {has_copies:UInt8} = 1
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, received_at, type, optimization_id, variation_id
            rows between 1 preceding and current row
        )
    ),
    views as
    (
        select customer_id, visitor_id, optimization_id, variation_id, occurred_at, received_at
        from events
        where {has_copies:UInt8} = 0 and type = 'view'
        union all
        select customer_id, visitor_id, optimization_id, variation_id, occurred_at, received_at
        from looked_back
        where type = 'view' and not is_copy
        union all
        -- Small days that follow it.
        select customer_id, visitor_id, optimization_id, variation_id, occurred_at, received_at
        from client_events
        where toDate(occurred_at) > {day:Date}
            and toDate(occurred_at) <= {last_day:Date}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
            and type = 'view'
    ),
    numbered as
    (
        select
            customer_id,
            optimization_id,
            variation_id,
            visitor_id,
            toDate(occurred_at) as day,
            bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(occurred_at)), 64), toUInt128(toUnixTimestamp64Milli(received_at))) as seen
        from views
    )
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    day,
    fromUnixTimestamp64Milli(toInt64(bitShiftRight(min(seen), 64))),
    fromUnixTimestamp64Milli(toInt64(bitAnd(min(seen), toUInt128(0xFFFFFFFFFFFFFFFF)))),
    fromUnixTimestamp64Milli(toInt64(bitShiftRight(max(seen), 64))),
    fromUnixTimestamp64Milli(toInt64(bitAnd(max(seen), toUInt128(0xFFFFFFFFFFFFFFFF)))),
    count(),
    {version:UInt64}
from numbered
group by customer_id, optimization_id, variation_id, visitor_id, day
union all
-- The other visitors of a day that is not computed whole.
select customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, first_received_at, last_viewed_at, last_received_at, views, {version:UInt64}
from exposures_versions
where {whole:UInt8} = 0
    and {slice_last:UInt8} = 1
    and day = {day:Date}
    and exposures_versions.version = {version_of_day:UInt64}
    and (customer_id, visitor_id) not in (select customer_id, visitor_id from night_visitor_days where day = {day:Date})
settings max_threads = 1, optimize_read_in_window_order = 1
