-- Purpose:    Find the client events of which another copy has come (R5).
-- Reads:      client_events
-- Writes:     night_doubled_ids
-- Grain:      one row per such ingest_id
-- Parameters: full, visible_since, low, high, copies_since, passes, pass
-- Notes:      Healthy data has none. An incremental run looks for copies of the rows that are new to it only,
--             among those received since copies_since, as a browser tries again for 7 days; what earlier runs
--             found is in doubled_events. They are looked for by a hash, since a set of numbers is three times
--             as fast as one of UUIDs; one that collides is grouped apart. Passes over a part of the ids each
--             bound the memory.
insert into night_doubled_ids (ingest_id)
with changed as
(
    select cityHash64(ingest_id) as id_hash
    from client_events
    where {full:UInt8} = 0
        and cityHash64(ingest_id) % {passes:UInt64} = {pass:UInt64}
        and received_at < {high:DateTime64(3, 'UTC')}
        and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
)
select ingest_id
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and cityHash64(ingest_id) % {passes:UInt64} = {pass:UInt64}
    and ({full:UInt8} = 1 or cityHash64(ingest_id) in (select id_hash from changed))
group by ingest_id
having count() > 1
