-- Purpose:    Stage the first views of days on which they may have changed (R11).
-- Reads:      night_first_views, night_entries, client_events, entries_versions, published_days, night_visitor_days
-- Writes:     entries_versions
-- Runs:       shards
-- Grain:      one row per (account, optimization, visitor, variation), by the day of its first view
-- Parameters: full, cutoff, version, whole_days, entry_days, has_attributes
-- Notes:      Attributes are looked up by visitor and moment, where any view of these days has some. Of several views that were received
--             together the one with the smaller ingest_id counts.
insert into entries_versions
    (customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, first_received_at, is_entry, attributes, entry_key, version)
with
    found as
    (
        select
            customer_id,
            optimization_id,
            variation_id,
            visitor_id,
            first_viewed_at,
            first_received_at,
            entry_key,
            entry_key not in (select entry_key from night_entries)
                or bitXor(entry_key, toUInt128(cityHash64(variation_id))) in (select bitXor(entry_key, toUInt128(cityHash64(variation_id))) from night_entries) as is_entry
        from night_first_views
        where toDate(first_viewed_at) in {entry_days:Array(Date)}
    ),
    described as
    (
        select
            reinterpretAsUInt128(sipHash128(customer_id, optimization_id, visitor_id)) as of_key,
            variation_id as of_variation,
            received_at,
            argMin(client_events.attributes, (toString(ingest_id), toString(client_events.attributes))) as described_by
        from client_events
        where {has_attributes:UInt8} = 1
            and type = 'view'
            and toDate(occurred_at) in {entry_days:Array(Date)}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
            and bitXor(of_key, toUInt128(toUnixTimestamp64Milli(occurred_at))) in
            (
                select bitXor(entry_key, toUInt128(toUnixTimestamp64Milli(first_viewed_at)))
                from found
                where is_entry
            )
        group by of_key, of_variation, occurred_at, received_at
    )
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    toDate(first_viewed_at),
    first_viewed_at,
    first_received_at,
    is_entry,
    if(is_entry, described.described_by, map() :: Map(LowCardinality(String), String)),
    entry_key,
    {version:UInt64}
from found
left join described
    on found.entry_key = described.of_key
    and found.variation_id = described.of_variation
    and found.first_received_at = described.received_at
union all
-- The others of days that are not computed whole.
select customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, first_received_at, is_entry, attributes, entry_key, {version:UInt64}
from entries_versions
where {full:UInt8} = 0
    and day in {entry_days:Array(Date)}
    and day not in {whole_days:Array(Date)}
    and (day, entries_versions.version) in
    (
        select published_days.day, max(published_days.version)
        from published_days
        where table_name = 'entries_versions'
        group by published_days.day
    )
    and (customer_id, visitor_id, day) not in (select customer_id, visitor_id, day from night_visitor_days)
    and entry_key not in (select entry_key from night_first_views)
