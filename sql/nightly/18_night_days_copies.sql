-- Purpose:    Draw in the visitor-days that hold a copy of an event of which another one has come (R5).
-- Reads:      doubled_events, night_doubled_ids, night_days
-- Writes:     night_days
-- Grain:      one row per visitor-day that was not listed, or only drawn in
-- Parameters: whole_from, whole_to, hop
-- Notes:      Which copy counts may have changed with it.
insert into night_days (customer_id, visitor_id, day, cause, hop)
select distinct customer_id, visitor_id, toDate(occurred_at) as day, 'client_event', {hop:UInt32}
from doubled_events
where ingest_id in (select ingest_id from night_doubled_ids)
    and day not between {whole_from:Date} and {whole_to:Date}
    and (day, customer_id, visitor_id) not in (select night_days.day, customer_id, visitor_id from night_days where cause != '')
