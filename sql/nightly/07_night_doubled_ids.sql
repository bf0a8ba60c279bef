-- Purpose:    Find the client events of which another copy has come since the last run (R5).
-- Reads:      client_events, night_doubled_hashes
-- Writes:     night_doubled_ids
-- Grain:      one row per such ingest_id
-- Parameters: full, visible_since, low, high, copies_since
-- Notes:      Only where there are hashes that occur twice; two ids may share one.
insert into night_doubled_ids (ingest_id)
select ingest_id
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and cityHash64(ingest_id) in (select id_hash from night_doubled_hashes)
group by ingest_id
having count() > 1
    and
    (
        {full:UInt8} = 1
        or max(inserted_at) >= {visible_since:DateTime64(3, 'UTC')}
        or max(received_at) >= {low:DateTime64(3, 'UTC')}
    )
