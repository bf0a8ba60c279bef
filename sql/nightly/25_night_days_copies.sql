-- Purpose:    Draw in the visitor-days that hold another copy of an event to be read.
-- Reads:      client_events, night_doubles, night_days
-- Writes:     night_days
-- Grain:      one row per visitor-day that was not listed
-- Parameters: full, forced, from_day, to_day, copies_since
-- Notes:      When it adds any, the steps from 11 on are done again.
insert into night_days (customer_id, visitor_id, day, cause)
select distinct customer_id, visitor_id, toDate(occurred_at) as day, 'client_event'
from client_events
where {full:UInt8} = 0
    and received_at >= {copies_since:DateTime64(3, 'UTC')}
    and ingest_id in (select ingest_id from night_doubles)
    and not ({forced:UInt8} = 1 and toDate(occurred_at) between {from_day:Date} and {to_day:Date})
    and (day, customer_id, visitor_id) not in (select night_days.day, customer_id, visitor_id from night_days)
