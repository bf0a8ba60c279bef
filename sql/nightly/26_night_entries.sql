-- Purpose:    Find what visitors of several variations entered with (R11).
-- Reads:      night_first_views
-- Writes:     night_entries
-- Runs:       shards
-- Grain:      one row per visitor and optimization of which several variations were seen
-- Parameters: slices, slice
-- Notes:      The same moment and receipt: the smaller variation.
insert into night_entries (entry_key, variation_id)
select entry_key, argMin(variation_id, (first_viewed_at, first_received_at, toString(variation_id)))
from night_first_views
where entry_key in
    (
        select entry_key
        from night_first_views
        where {slices:UInt32} = 1 or sipHash64(visitor_id) % {slices:UInt32} = {slice:UInt32}
        group by entry_key
        having count() > 1
    )
group by entry_key
