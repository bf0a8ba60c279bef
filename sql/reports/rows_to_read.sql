-- Purpose:    Count the client events of the visitor-days that a run computes anew or looks at.
-- Reads:      client_events, night_days, night_view_days
-- Grain:      one row
-- Parameters: cutoff, whole_from, whole_to
select count() as rows
from client_events
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and
    (
        toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
        or (toDate(occurred_at), customer_id, visitor_id) in
        (
            select day, customer_id, visitor_id from night_days
            union all
            select day, customer_id, visitor_id from night_view_days
        )
    )
