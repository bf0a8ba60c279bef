-- Purpose:    Stage who saw which variation on which day (R9).
-- Reads:      night_events
-- Writes:     exposures_versions
-- Grain:      one row per (account, optimization, variation, visitor, UTC day of the view)
-- Parameters: from_day, to_day, version
-- Notes:      None.
insert into exposures_versions
    (customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, views, version)
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    toDate(occurred_at) as day,
    min(occurred_at),
    count(),
    {version:UInt64}
from night_events
where type = 'view'
    and day between {from_day:Date} and {to_day:Date}
group by customer_id, optimization_id, variation_id, visitor_id, day
