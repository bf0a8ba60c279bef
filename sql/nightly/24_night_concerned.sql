-- Purpose:    Find the visitors whose first views may have changed (R11).
-- Reads:      exposures_versions, entries_versions, published_days, night_visitor_days
-- Writes:     night_concerned
-- Runs:       shards
-- Grain:      one row per (account, optimization, visitor), by its hash
-- Parameters: version, staged_days, whole_days, slices, slice
-- Notes:      Whoever was seen with the variation on an earlier day is not concerned, and that is nearly everybody who comes back. All others on the
--             visitor-days computed again are, and those who had a first view there. A variation is mixed into the hash of 128
--             bits, which stands for three texts.
insert into night_concerned (entry_key)
with
    exposed as
    (
        select day, variation_id, reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as entry_key
        from exposures_versions
        where exposures_versions.version = {version:UInt64}
            and ({slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32})
            and (day in {whole_days:Array(Date)} or (customer_id, visitor_id, day) in (select customer_id, visitor_id, day from night_visitor_days))
    ),
    entered as
    (
        select customer_id, variation_id, visitor_id, day, entry_key
        from entries_versions
        where (day, entries_versions.version) in
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
        select entry_key, variation_id, day from entered where day not in {staged_days:Array(Date)}
        union all
        select entry_key, variation_id, day
        from entered
        where day in {staged_days:Array(Date)}
            and day not in {whole_days:Array(Date)}
            and (customer_id, visitor_id, day) not in (select customer_id, visitor_id, day from night_visitor_days)
    ),
    -- Those who come back: since when they have known the variation.
    returned as
    (
        select bitXor(entry_key, toUInt128(cityHash64(variation_id))) as view_key, day as known_since
        from kept
        where entry_key in (select entry_key from exposed)
    )
select distinct entry_key
from exposed
any left join returned
    on bitXor(exposed.entry_key, toUInt128(cityHash64(exposed.variation_id))) = returned.view_key
where returned.view_key = 0 or returned.known_since > exposed.day
union distinct
select entry_key
from entered
where day in {staged_days:Array(Date)}
    and (day in {whole_days:Array(Date)} or (customer_id, visitor_id, day) in (select customer_id, visitor_id, day from night_visitor_days))
