-- Purpose:    Say which version of each day readers will see of a table: the one staged where the day came out different.
-- Reads:      published_days
-- Writes:     night_versions
-- Runs:       home
-- Grain:      one row per table and day
-- Parameters: table, table_name, version, staged_days, range_from, range_to, full
-- Notes:      Run three times, once a table with versions is staged, which it reads: after 20, 22 and 35. A day that came out as it was keeps its version; what was staged of it is never published.
--             Rows are compared by the sum of their hashes. Days of a range, and in a full run all days, are published
--             whatever came out, also those that have no rows any more.
insert into night_versions (table_name, day, version, old_version)
with
    published as
    (
        select day, max(version) as old_version
        from published_days
        where table_name = {table_name:String}
        group by day
    ),
    compared as
    (
        select
            day,
            sumIf(cityHash64(tuple(* except (version))), version = {version:UInt64}) as new_rows,
            sumIf(cityHash64(tuple(* except (version))), version != {version:UInt64}) as old_rows,
            countIf(version = {version:UInt64}) > 0 as has_rows
        from {table:Identifier}
        where day in {staged_days:Array(Date)}
            and (version = {version:UInt64} or (day, version) in (select published.day, old_version from published))
        group by day
    ),
    days as
    (
        select day from published
        union distinct
        select day from compared
    )
select
    {table_name:String},
    days.day,
    if(
        days.day in {staged_days:Array(Date)}
            and (has_rows or old_version > 0)
            and (new_rows != old_rows or {full:UInt8} = 1 or days.day between {range_from:Date} and {range_to:Date}),
        {version:UInt64},
        old_version
    ),
    old_version
from days
left join published
    on days.day = published.day
left join compared
    on days.day = compared.day
