-- Purpose:    Find when visitors first saw each variation, of those for whom that may have changed (R11).
-- Reads:      exposures_versions, entries_versions, published_days, night_visitor_days, night_versions
-- Writes:     night_first_views
-- Grain:      one row per (account, optimization, visitor, variation)
-- Parameters: full, version, staged_days, whole_days, displaced, slices, slice
-- Notes:      Visitor-days that this run computed again are known by their exposures, all others by what was published. Whoever was seen with the
--             variation on an earlier day is not concerned: that is nearly everybody who comes back. Where a view that had been the
--             first may be gone, the exposures of all days are read. Seen is moment and receipt in one number, as in 22. A hash of
--             128 bits stands for three texts; a variation is mixed into it.
insert into night_first_views
    (customer_id, optimization_id, variation_id, visitor_id, first_viewed_at, first_received_at, is_known, attributes, entry_key)
with
    exposed as
    (
        select
            customer_id,
            optimization_id,
            variation_id,
            visitor_id,
            day,
            bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(first_viewed_at)), 64), toUInt128(toUnixTimestamp64Milli(first_received_at))) as seen,
            reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as entry_key
        from exposures_versions
        where exposures_versions.version = {version:UInt64}
            and ({slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32})
            and ({full:UInt8} = 1 or day in {whole_days:Array(Date)} or (customer_id, visitor_id, day) in (select customer_id, visitor_id, day from night_visitor_days))
    ),
    entered as
    (
        select
            customer_id,
            optimization_id,
            variation_id,
            visitor_id,
            day,
            bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(first_viewed_at)), 64), toUInt128(toUnixTimestamp64Milli(first_received_at))) as seen,
            is_entry,
            attributes,
            entry_key
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
    ),
    kept as
    (
        select * from entered where day not in {staged_days:Array(Date)}
        union all
        select *
        from entered
        where day in {staged_days:Array(Date)}
            and day not in {whole_days:Array(Date)}
            and (customer_id, visitor_id, day) not in (select customer_id, visitor_id, day from night_visitor_days)
    ),
    taken_back as
    (
        select visitor_id, entry_key
        from entered
        where day in {staged_days:Array(Date)}
            and (day in {whole_days:Array(Date)} or (customer_id, visitor_id, day) in (select customer_id, visitor_id, day from night_visitor_days))
    ),
    -- Those who come back: since when they have known the variation.
    returned as
    (
        select bitXor(entry_key, toUInt128(cityHash64(variation_id))) as view_key, day as known_since
        from kept
        where entry_key in (select entry_key from exposed)
    ),
    concerned as
    (
        select entry_key
        from exposed
        any left join returned
            on bitXor(exposed.entry_key, toUInt128(cityHash64(exposed.variation_id))) = returned.view_key
        where returned.view_key = 0 or returned.known_since > exposed.day
        union distinct
        select entry_key from taken_back
    ),
    candidates as
    (
        select customer_id, optimization_id, variation_id, visitor_id, seen, 0 as is_known, map() :: Map(LowCardinality(String), String) as attributes, entry_key
        from exposed
        where {full:UInt8} = 1 or entry_key in (select entry_key from concerned where {full:UInt8} = 0)
        union all
        select customer_id, optimization_id, variation_id, visitor_id, seen, is_entry, attributes, entry_key
        from kept
        where entry_key in (select entry_key from concerned)
        union all
        select
            customer_id,
            optimization_id,
            variation_id,
            visitor_id,
            bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(first_viewed_at)), 64), toUInt128(toUnixTimestamp64Milli(first_received_at))),
            0,
            map() :: Map(LowCardinality(String), String),
            reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as entry_key
        from exposures_versions
        where {displaced:UInt8} = 1
            and (day, exposures_versions.version) in (select day, night_versions.version from night_versions where table_name = 'exposures_versions')
            and visitor_id in (select visitor_id from taken_back)
            and entry_key in (select entry_key from taken_back)
    )
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    fromUnixTimestamp64Milli(toInt64(bitShiftRight(min(seen) as first_seen, 64))),
    fromUnixTimestamp64Milli(toInt64(bitAnd(first_seen, toUInt128(0xFFFFFFFFFFFFFFFF)))),
    countIf(candidates.is_known = 1) > 0 and minIf(seen, candidates.is_known = 1) = first_seen,
    anyIf(candidates.attributes, candidates.is_known = 1),
    any(entry_key)
from candidates
group by customer_id, optimization_id, variation_id, visitor_id
