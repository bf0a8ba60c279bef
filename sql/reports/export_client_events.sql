-- Purpose:    Everything that browsers of an account reported, in the order of the table.
-- Reads:      client_events
-- Grain:      one row per client event received; a row that was written twice once
-- Parameters: customer_id, from_day, to_day
select distinct
    visitor_id,
    toString(type) as type,
    optimization_id,
    variation_id,
    attributes,
    user_domain,
    user_id,
    occurred_at,
    received_at,
    ingest_id
from client_events
where customer_id = {customer_id:String}
    and toDate(occurred_at) between {from_day:Date} and {to_day:Date}
order by toDate(occurred_at), customer_id, visitor_id, occurred_at, ingest_id, received_at, type
