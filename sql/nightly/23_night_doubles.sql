-- Purpose:    Find the client events that were written more than once, and the copy of each that was received
--             first (R5).
-- Reads:      client_events, night_days, night_view_days
-- Writes:     night_doubles
-- Grain:      one row per such ingest_id
-- Parameters: full, cutoff, copies_since
-- Notes:      Healthy data has none, and all other steps just leave these out. Not a full run: only the rows to be
--             read are looked for, among those received since copies_since, as a browser tries again for 7 days.
--             The columns after received_at only make the choice between copies that were received in the same
--             millisecond repeatable.
insert into night_doubles
    (customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id)
with
    concerned as
    (
        select ingest_id
        from client_events
        where {full:UInt8} = 0
            and received_at < {cutoff:DateTime64(3, 'UTC')}
            and (toDate(occurred_at), customer_id, visitor_id) in
            (
                select day, customer_id, visitor_id from night_days
                union all
                select day, customer_id, visitor_id from night_view_days
            )
    ),
    doubled as
    (
        select ingest_id
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and received_at >= {copies_since:DateTime64(3, 'UTC')}
            and ({full:UInt8} = 1 or ingest_id in (select ingest_id from concerned))
        group by ingest_id
        having count() > 1
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
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and ingest_id in (select ingest_id from doubled)
order by
    received_at, occurred_at, customer_id, visitor_id, type, optimization_id, variation_id, user_domain, user_id
limit 1 by ingest_id
settings max_bytes_before_external_group_by = 600000000
