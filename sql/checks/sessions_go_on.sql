-- Purpose:    Sessions that came over midnight, and were not open then as the day before will be published (R1).
-- Reads:      sessions_versions, night_versions
-- Runs:       shards
-- Parameters: checked_days
-- Notes:      Of the days after those staged, too.
with current as
(
    select customer_id, visitor_id, day, started_at, last_event_at, expires_at
    from sessions_versions
    where (day, sessions_versions.version) in (select night_versions.day, night_versions.version from night_versions where table_name = 'sessions_versions')
        and (started_at < toDateTime64(day, 3, 'UTC') or expires_at > toDateTime64(day + 1, 3, 'UTC'))
        and (day in {checked_days:Array(Date)} or day + 1 in {checked_days:Array(Date)} or day - 1 in {checked_days:Array(Date)})
)
select customer_id, visitor_id, day, started_at, last_event_at
from current
where started_at < toDateTime64(day, 3, 'UTC')
    and (day in {checked_days:Array(Date)} or day - 1 in {checked_days:Array(Date)})
    and (customer_id, visitor_id, day, started_at) not in
    (
        select customer_id, visitor_id, day + 1, started_at
        from current
        where expires_at > toDateTime64(day + 1, 3, 'UTC')
    )
order by customer_id, visitor_id, started_at
