-- Purpose:    Count the client events of the visitor-days that a run computes anew or looks at.
-- Reads:      client_events, night_days, night_view_days
-- Grain:      one row
-- Parameters: cutoff, forced, from_day, to_day
select count() as rows, min(received_at) as first_received_at
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and
    (
        {forced:UInt8} = 1 and toDate(occurred_at) between {from_day:Date} and {to_day:Date}
        or (toDate(occurred_at), customer_id, visitor_id) in
        (
            select day, customer_id, visitor_id from night_days
            union all
            select day, customer_id, visitor_id from night_view_days
        )
    )
