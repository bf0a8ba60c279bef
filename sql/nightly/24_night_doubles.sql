-- Purpose:    Keep the copy of each doubled event that was received first: it counts (R5).
-- Reads:      doubled_events, doubled_events_next, night_days, night_view_days, night_doubles
-- Writes:     night_doubles
-- Grain:      one row per doubled ingest_id with a copy among the rows to be read
-- Parameters: full, cutoff, whole_from, whole_to
-- Notes:      Only where there are any. All other steps leave the doubled events out and put these in. Run again for
--             the views of conversions once those are known. The columns after received_at only make the choice
--             between copies that were received in the same millisecond repeatable.
insert into night_doubles
    (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id)
with
    concerned as
    (
        select ingest_id
        from doubled_events
        where toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
            or (toDate(occurred_at), customer_id, visitor_id) in
            (
                select day, customer_id, visitor_id from night_days
                union all
                select day, customer_id, visitor_id from night_view_days
            )
    ),
    copies as
    (
        select
            customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id,
            occurred_at, received_at, ingest_id
        from doubled_events
        where {full:UInt8} = 0
            and ingest_id in (select ingest_id from concerned)
        union all
        select
            customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id,
            occurred_at, received_at, ingest_id
        from doubled_events_next
        where {full:UInt8} = 1
    )
select
    customer_id,
    visitor_id,
    type,
    optimization_id,
    variation_id,
    user_domain,
    user_id,
    occurred_at,
    received_at,
    ingest_id
from copies
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and ingest_id not in (select ingest_id from night_doubles)
order by
    received_at, occurred_at, customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id
limit 1 by ingest_id
