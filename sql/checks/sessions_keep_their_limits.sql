-- Purpose:    Sessions that overlap the next one of their visitor, outlast the cap, or end before they
--             start (R1).
-- Reads:      sessions_versions
-- Parameters: version, session_cap_hours, slice_first_customer, slice_first_visitor, slice_end_customer,
--             slice_end_visitor, slice_last
-- Notes:      One thread reads the sessions in the order of the table; several would sort all of them in memory. So
--             would one that reads from many parts at once, so it takes the slices that were staged.
with followed as
(
    select
        customer_id,
        visitor_id,
        started_at,
        last_event_at,
        expires_at,
        leadInFrame(started_at, 1, expires_at) over
        (
            partition by customer_id, visitor_id order by started_at
            rows between current row and unbounded following
        ) as next_started_at
    from sessions_versions
    where version = {version:UInt64}
        and (customer_id > {slice_first_customer:String}
            or customer_id = {slice_first_customer:String} and visitor_id >= {slice_first_visitor:String})
        and ({slice_last:UInt8} = 1
            or customer_id < {slice_end_customer:String}
            or customer_id = {slice_end_customer:String} and visitor_id < {slice_end_visitor:String})
)
select customer_id, visitor_id, started_at, last_event_at, expires_at, next_started_at
from followed
where next_started_at < expires_at
    or last_event_at < started_at
    or last_event_at >= expires_at
    or expires_at > started_at + toIntervalHour({session_cap_hours:UInt32})
order by customer_id, visitor_id, started_at
settings max_threads = 1, optimize_read_in_window_order = 1
