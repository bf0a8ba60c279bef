-- Purpose:    Cut the visitors, or the visitor-days, into slices of about as many client events to be read each.
-- Reads:      the primary index of client_events, night_days
-- Grain:      one row per slice but the first, with its first visitor; without days, day is 1970-01-01
-- Parameters: slices, by_day, whole_from, whole_to, events_per_visitor_day
-- Notes:      Of days computed whole all granules are read, of others what is listed.
with
    listed as
    (
        select day as read_day, {events_per_visitor_day:UInt32} * count() as rows
        from night_days
        group by day
    ),
    granules as
    (
        select
            `toDate(occurred_at)` as read_day,
            customer_id,
            visitor_id,
            rows_in_granule,
            count() over (partition by read_day) as granules_of_day
        from mergeTreeIndex(currentDatabase(), client_events)
        where `toDate(occurred_at)` between {whole_from:Date} and {whole_to:Date}
            or `toDate(occurred_at)` in (select listed.read_day from listed)
    ),
    weighed as
    (
        select
            if({by_day:UInt8} = 1, granules.read_day, toDate(0)) as day,
            granules.customer_id as customer_id,
            granules.visitor_id as visitor_id,
            if(
                granules.read_day between {whole_from:Date} and {whole_to:Date},
                toFloat64(granules.rows_in_granule),
                listed.rows / granules.granules_of_day
            ) as rows
        from granules
        left join listed
            on granules.read_day = listed.read_day
    ),
    summed as
    (
        select
            day,
            customer_id,
            visitor_id,
            sum(rows) over (order by day, customer_id, visitor_id rows between unbounded preceding and current row) as rows_so_far,
            rows_so_far - rows as rows_before,
            sum(rows) over () as all_rows
        from weighed
    )
select distinct day, customer_id, visitor_id
from summed
where floor(rows_before * {slices:UInt64} / all_rows) != floor(rows_so_far * {slices:UInt64} / all_rows)
    and rows_so_far < all_rows
order by day, customer_id, visitor_id
