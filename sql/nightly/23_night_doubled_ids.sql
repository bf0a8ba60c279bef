-- Purpose:    Find the client events that were written more than once (R5).
-- Reads:      client_events, night_days, night_view_days
-- Writes:     night_doubled_ids
-- Grain:      one row per such ingest_id
-- Parameters: full, forced, cutoff, copies_since, passes, pass
-- Notes:      Healthy data has none. An incremental run looks for the rows to be read only, among those
--             received since copies_since, as a browser tries again for 7 days. They are looked for by a
--             hash, since a set of numbers is three times as fast as one of UUIDs; one that collides is
--             grouped apart. Passes over a part of the ids each bound the memory.
insert into night_doubled_ids (ingest_id)
with concerned as
(
    select cityHash64(ingest_id) as id_hash
    from client_events
    where {full:UInt8} = 0 and {forced:UInt8} = 0
        and cityHash64(ingest_id) % {passes:UInt64} = {pass:UInt64}
        and received_at < {cutoff:DateTime64(3, 'UTC')}
        and (toDate(occurred_at), customer_id, visitor_id) in
        (
            select day, customer_id, visitor_id from night_days
            union all
            select day, customer_id, visitor_id from night_view_days
        )
)
select ingest_id
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and cityHash64(ingest_id) % {passes:UInt64} = {pass:UInt64}
    and ({full:UInt8} = 1 or {forced:UInt8} = 1 or cityHash64(ingest_id) in (select id_hash from concerned))
group by ingest_id
having count() > 1
