-- Purpose:    Find by a hash the client events of which another copy may have come (R5).
-- Reads:      client_events
-- Writes:     night_doubled_hashes
-- Grain:      one row per copy after the first, of the hash of its ingest_id
-- Parameters: few_changed, visible_since, low, high, copies_since
-- Notes:      Healthy data has none. An incremental run looks among the rows received since copies_since, as a
--             browser tries again for 7 days, and only for copies of the rows that are new to it where those are
--             few; what earlier runs found is in doubled_events. received_at is looked up in the index alone: a
--             few rows more do no harm, as 07 looks again. The hashes are dealt into 4096 arrays, and those
--             with copies in them are sorted: they lie side by side then. A table of all hashes would miss the
--             processor's cache at each of them. Beyond 300 MB the arrays are put on disk.
insert into night_doubled_hashes (id_hash)
with
    changed as
    (
        select cityHash64(ingest_id) as id_hash
        from client_events
        where {few_changed:UInt8} = 1
            and received_at < {high:DateTime64(3, 'UTC')}
            and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
    ),
    dealt as
    (
        select groupArray(cityHash64(ingest_id)) as hashes
        from client_events
        where indexHint(received_at < {high:DateTime64(3, 'UTC')} and received_at >= {copies_since:DateTime64(3, 'UTC')})
            and ({few_changed:UInt8} = 0 or cityHash64(ingest_id) in (select id_hash from changed))
        group by toUInt32(cityHash64(ingest_id) % 4096)
        having arrayUniq(hashes) < length(hashes)
    ),
    sorted as
    (
        select arraySort(hashes) as hashes
        from dealt
    ),
    -- The first difference of an array is always 0 and says nothing.
    compared as
    (
        select hashes, arrayPushFront(arrayPopFront(arrayDifference(hashes)), 1) as steps
        from sorted
    )
select arrayJoin(arrayFilter((hash, step) -> step = 0, hashes, steps))
from compared
settings max_bytes_before_external_group_by = 300000000
