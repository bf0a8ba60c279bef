-- Purpose:    Find by a hash the client events of which another copy may have come (R5).
-- Reads:      client_events
-- Writes:     night_doubled_hashes
-- Grain:      one row per hash of an ingest_id that occurs twice
-- Parameters: few_changed, visible_since, low, high, copies_since
-- Notes:      Healthy data has none. An incremental run looks for copies of the rows that are new to it only,
--             among those received since copies_since, as a browser tries again for 7 days; what earlier runs
--             found is in doubled_events. Where too many are new to be held in memory, as in a full run, all rows
--             are grouped, on disk beyond 300 MB. Numbers are three times as fast as UUIDs here.
insert into night_doubled_hashes (id_hash)
with changed as
(
    select cityHash64(ingest_id) as id_hash
    from client_events
    where {few_changed:UInt8} = 1
        and received_at < {high:DateTime64(3, 'UTC')}
        and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
)
select cityHash64(ingest_id) as id_hash
from client_events
where received_at < {high:DateTime64(3, 'UTC')}
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and ({few_changed:UInt8} = 0 or id_hash in (select id_hash from changed))
group by id_hash
having count() > 1
settings max_bytes_before_external_group_by = 300000000
