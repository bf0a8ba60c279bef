-- Purpose:    Cut the visitors into slices of about as many client events each.
-- Reads:      the primary index of client_events
-- Grain:      one row per slice but the first, with its first visitor
-- Parameters: slices
with
    marks as
    (
        select
            customer_id,
            visitor_id,
            row_number() over (order by customer_id, visitor_id) - 1 as position,
            count() over () as marks
        from mergeTreeIndex(currentDatabase(), client_events)
    )
select distinct customer_id, visitor_id
from marks
where intDiv(position * {slices:UInt64}, marks) != intDiv((position - 1) * {slices:UInt64}, marks)
    and position > 0
order by customer_id, visitor_id
