-- Purpose:    Sessions of some visitors around a moment, for the drawing of a conversion's story.
-- Reads:      sessions
-- Grain:      one row per session
-- Parameters: customer_id, visitors, from_at, to_at
select visitor_id, started_at, last_event_at, expires_at
from sessions
where customer_id = {customer_id:String}
    and visitor_id in {visitors:Array(String)}
    and session_day between toDate({from_at:DateTime64(3, 'UTC')}) - 1 and toDate({to_at:DateTime64(3, 'UTC')})
    and expires_at > {from_at:DateTime64(3, 'UTC')}
    and started_at < {to_at:DateTime64(3, 'UTC')}
order by started_at, visitor_id
limit 100
