-- Every column of client_events that a night reads, read once.
select
    max(cityHash64(customer_id)), max(cityHash64(visitor_id)), max(cityHash64(optimization_id)), max(cityHash64(variation_id)),
    max(cityHash64(user_domain)), max(cityHash64(user_id)), countIf(type = 'view'), max(occurred_at), max(received_at), max(ingest_id)
from client_events
