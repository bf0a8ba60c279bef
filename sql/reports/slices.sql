-- Purpose:    Cut a day into slices of its visitors with about as many client events each.
-- Reads:      the primary index of client_events
-- Runs:       shards
-- Grain:      one row per slice but the first, with its first visitor
-- Parameters: day, slices
with
    granules as
    (
        select
            customer_id,
            visitor_id,
            sum(rows_in_granule) over (order by customer_id, visitor_id rows between unbounded preceding and current row) as rows_so_far,
            rows_so_far - rows_in_granule as rows_before,
            sum(rows_in_granule) over () as all_rows
        from mergeTreeIndex(currentDatabase(), client_events)
        where `toDate(occurred_at)` = {day:Date}
    )
select distinct customer_id, visitor_id
from granules
where intDiv(rows_before * {slices:UInt64}, all_rows) != intDiv(rows_so_far * {slices:UInt64}, all_rows)
    and rows_so_far < all_rows
order by customer_id, visitor_id
