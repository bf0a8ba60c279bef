-- Purpose:    Find when the visitors concerned first saw each variation (R11).
-- Reads:      exposures_versions, entries_versions, published_days, night_visitor_days, night_versions, night_concerned
-- Writes:     night_first_views
-- Runs:       shards
-- Grain:      one row per (account, optimization, visitor, variation)
-- Parameters: full, version, staged_days, whole_days, displaced, slices, slice
-- Notes:      Visitor-days that this run computed again are known by their exposures, all others by what was published. Where a view that had been
--             the first may be gone, the exposures of all days are read. Seen is moment and receipt in one number, as in 22.
insert into night_first_views (customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at, entry_key)
with
    exposed as
    (
        select customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at,
            reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as entry_key
        from exposures_versions
        where exposures_versions.version = {version:UInt64}
            and ({slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32})
            and ({full:UInt8} = 1 or day in {whole_days:Array(Date)} or (customer_id, visitor_id, day) in (select customer_id, visitor_id, day from night_visitor_days))
            and ({full:UInt8} = 1 or entry_key in (select entry_key from night_concerned))
    ),
    entered as
    (
        select customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, first_received_at, entry_key
        from entries_versions
        where {full:UInt8} = 0
            and (day, entries_versions.version) in
            (
                select published_days.day, max(published_days.version)
                from published_days
                where table_name = 'entries_versions'
                group by published_days.day
            )
            and ({slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32})
            and entry_key in (select entry_key from night_concerned)
    ),
    candidates as
    (
        select customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at, entry_key
        from exposed
        union all
        select customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at, entry_key
        from entered
        where day not in {staged_days:Array(Date)}
            or day not in {whole_days:Array(Date)} and (customer_id, visitor_id, day) not in (select customer_id, visitor_id, day from night_visitor_days)
        union all
        select customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at,
            reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as entry_key
        from exposures_versions
        where {displaced:UInt8} = 1
            and ({slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32})
            and (day, exposures_versions.version) in (select day, night_versions.version from night_versions where table_name = 'exposures_versions')
            and visitor_id in (select visitor_id from entered where day in {staged_days:Array(Date)})
            and entry_key in (select entry_key from entered where day in {staged_days:Array(Date)})
    ),
    numbered as
    (
        select
            *,
            bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(first_viewed_at)), 64), toUInt128(toUnixTimestamp64Milli(first_received_at))) as seen
        from candidates
    )
select
    any(customer_id),
    any(optimization_id),
    variation_id,
    any(visitor_id),
    fromUnixTimestamp64Milli(toInt64(bitShiftRight(min(seen) as first_seen, 64))),
    fromUnixTimestamp64Milli(toInt64(bitAnd(first_seen, toUInt128(0xFFFFFFFFFFFFFFFF)))),
    entry_key
from numbered
group by entry_key, variation_id
