-- The client events of a day that a run computes: of all visitors where the day is computed whole, else of those listed. A slice of
-- them, which ClickHouse can read in the order of the table, as the day is one. Visitors are looked up by themselves first: one text costs
-- a third of a tuple.
-- Lives:      shards
create or replace view night_events
comment 'Client events of a day to compute: night_events(day = …, whole = …, cutoff = …, slice_… = …)'
as select customer_id, visitor_id, type, optimization_id, variation_id, occurred_at, received_at, ingest_id
from client_events
where toDate(occurred_at) = {day:Date}
    and received_at < {cutoff:DateTime64(3, 'UTC')}
    and ({whole:UInt8} = 1 or visitor_id in (select visitor_id from night_visitor_days where day = {day:Date}))
    and ({whole:UInt8} = 1 or (customer_id, visitor_id) in (select customer_id, visitor_id from night_visitor_days where day = {day:Date}))
    and (customer_id > {slice_first_customer:String}
        or customer_id = {slice_first_customer:String} and visitor_id >= {slice_first_visitor:String})
    and ({slice_last:UInt8} = 1
        or customer_id < {slice_end_customer:String}
        or customer_id = {slice_end_customer:String} and visitor_id < {slice_end_visitor:String})
