-- Purpose:    On which days first views may have come out different.
-- Reads:      night_first_views, night_entries, entries_versions, published_days, night_visitor_days
-- Runs:       shards
-- Grain:      one row per day
-- Parameters: staged_days, whole_days
-- Notes:      More than those that the run computed: days on which the row of a visitor concerned came, went, or became or ceased to be an entry.
with
    found as
    (
        select
            entry_key,
            toString(variation_id) as variation,
            first_viewed_at,
            first_received_at,
            entry_key not in (select entry_key from night_entries)
                or bitXor(entry_key, toUInt128(cityHash64(variation_id))) in (select bitXor(entry_key, toUInt128(cityHash64(variation_id))) from night_entries) as is_entry
        from night_first_views
        where toDate(first_viewed_at) not in {staged_days:Array(Date)}
    ),
    published as
    (
        select entry_key, toString(variation_id) as variation, first_viewed_at, first_received_at, is_entry
        from entries_versions
        where day not in {staged_days:Array(Date)}
            and (day, version) in
            (
                select published_days.day, max(published_days.version)
                from published_days
                where table_name = 'entries_versions'
                group by published_days.day
            )
            and entry_key in (select entry_key from night_first_views)
    )
select distinct toDate(first_viewed_at) as day
from
(
    select first_viewed_at
    from (select * from found union all select * from published)
    group by entry_key, variation, first_viewed_at, first_received_at, is_entry
    having count() = 1
)
order by day
