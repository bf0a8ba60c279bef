-- Purpose:    Count the copies of an event that tell another link between user and visitor than the copy
--             that counts, where a copy has come since the last run.
-- Reads:      doubled_events, night_doubled_ids, night_doubles
-- Grain:      one row
-- Parameters: none
-- Notes:      Such a link may have been remembered by an earlier run, and only a full one forgets it.
select count() as links
from doubled_events
inner join night_doubles
    on doubled_events.ingest_id = night_doubles.ingest_id
where doubled_events.type = 'identify'
    and doubled_events.ingest_id in (select ingest_id from night_doubled_ids)
    and (doubled_events.customer_id, doubled_events.visitor_id, doubled_events.user_domain, doubled_events.user_id)
        != (night_doubles.customer_id, night_doubles.visitor_id, night_doubles.user_domain, night_doubles.user_id)
