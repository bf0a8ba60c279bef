-- Purpose:    Count the visitors whose days are computed again, by day and cause.
-- Reads:      night_visitor_days, sessions_versions, night_versions
-- Writes:     night_days
-- Runs:       shards
-- Grain:      one row per (account, day, cause)
-- Parameters: full, version, whole_days, range_from, range_to
-- Notes:      All visitors of a new day are new to it. A visitor is on one shard, so the numbers of several are added up.
insert into night_days (customer_id, day, cause, items)
select customer_id, day, if(night_visitor_days.cause = 'erasure', 'erasure', 'client_event') as cause, uniqExact(visitor_id)
from night_visitor_days
where night_visitor_days.cause != ''
    or day in (select night_versions.day from night_versions where table_name = 'sessions_versions' and version = {version:UInt64})
group by customer_id, day, cause
union all
select customer_id, day, 'client_event', uniqExact(visitor_id)
from sessions_versions
where {full:UInt8} = 0
    and sessions_versions.version = {version:UInt64}
    and day in {whole_days:Array(Date)}
    and day not between {range_from:Date} and {range_to:Date}
group by customer_id, day
