-- Purpose:    Views and identities of some visitors around a conversion, for the drawing of its story.
-- Reads:      client_events
-- Grain:      one row per event
-- Parameters: customer_id, visitors, from_at, to_at, action_at, cutoff, limit
-- Notes:      Those before the conversion first, the nearest ones, as they decide.
select visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at
from
(
    select visitor_id, type, optimization_id, variation_id, user_domain, user_id, occurred_at, received_at, ingest_id
    from client_events
    where customer_id = {customer_id:String}
        and visitor_id in {visitors:Array(String)}
        and toDate(occurred_at) between toDate({from_at:DateTime64(3, 'UTC')}) and toDate({to_at:DateTime64(3, 'UTC')})
        and occurred_at between {from_at:DateTime64(3, 'UTC')} and {to_at:DateTime64(3, 'UTC')}
        and received_at < {cutoff:DateTime64(3, 'UTC')}
        and type in ('view', 'identify')
    order by received_at, type, optimization_id, variation_id, user_domain, user_id
    limit 1 by visitor_id, occurred_at, ingest_id
)
order by
    occurred_at >= {action_at:DateTime64(3, 'UTC')},
    abs(dateDiff('millisecond', occurred_at, {action_at:DateTime64(3, 'UTC')})),
    visitor_id, type, optimization_id, variation_id
limit {limit:UInt32}
