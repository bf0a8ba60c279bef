-- Purpose:    Count the copies of an event that tell another link between user and visitor than the copy
--             that counts.
-- Reads:      client_events, night_doubles
-- Grain:      one row
-- Parameters: copies_since
-- Notes:      Such a link may have been remembered by an earlier run, and only a full one forgets it.
select count() as links
from client_events
inner join night_doubles
    on client_events.ingest_id = night_doubles.ingest_id
where client_events.received_at >= {copies_since:DateTime64(3, 'UTC')}
    and client_events.type = 'identify'
    and client_events.ingest_id in (select ingest_id from night_doubles)
    and (client_events.customer_id, client_events.visitor_id, client_events.user_domain, client_events.user_id)
        != (night_doubles.customer_id, night_doubles.visitor_id, night_doubles.user_domain, night_doubles.user_id)
