-- Purpose:    List the visitor-days whose views the conversions may be attributed to.
-- Reads:      night_conversions, night_links
-- Writes:     night_view_days
-- Grain:      one row per visitor-day
-- Parameters: session_cap_hours, clocks_apart_seconds
-- Notes:      A session that is open at the conversion has started at most the cap before it.
insert into night_view_days (customer_id, visitor_id, day)
select distinct
    night_conversions.customer_id,
    night_links.visitor_id,
    arrayJoin(arrayDistinct([
        toDate(night_conversions.converted_at - toIntervalHour({session_cap_hours:UInt32})),
        toDate(night_conversions.converted_at)
    ])) as day
from night_conversions
inner join night_links
    on night_conversions.customer_id = night_links.customer_id
    and night_conversions.user_domain = night_links.user_domain
    and night_conversions.user_id = night_links.user_id
where night_conversions.is_duplicate = 0
    and night_conversions.event_id != ''
    and night_links.linked_at <= night_conversions.received_at + toIntervalSecond({clocks_apart_seconds:UInt32})
