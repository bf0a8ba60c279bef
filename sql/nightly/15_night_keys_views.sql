-- Purpose:    List the conversions in reach of a visitor-day to compute anew.
-- Reads:      night_days, identifies, night_identifies, conversions
-- Writes:     night_keys
-- Grain:      one row per (account, name, action id)
-- Parameters: full, forced, whole_from, whole_to, view_lookback_days
-- Notes:      A view matters to conversions of the days after it (R6); the session that it is in is open
--             until half an hour past midnight at most. Those in reach of a day computed whole are all taken; a
--             run over a range publishes no others than its own.
insert into night_keys (customer_id, api_name, action_id, cause)
with
    links as
    (
        select customer_id, user_domain, user_id, visitor_id
        from identifies
        where (customer_id, visitor_id) in (select customer_id, visitor_id from night_days)
        union distinct
        select customer_id, user_domain, user_id, visitor_id
        from night_identifies
    ),
    user_days as
    (
        select distinct links.customer_id as customer_id, links.user_domain as user_domain, links.user_id as user_id, night_days.day as day
        from night_days
        inner join links
            on night_days.customer_id = links.customer_id
            and night_days.visitor_id = links.visitor_id
    )
select distinct conversions.customer_id, conversions.api_name, conversions.action_id, 'client_event'
from conversions
inner join user_days
    on conversions.customer_id = user_days.customer_id
    and conversions.user_domain = user_days.user_domain
    and conversions.user_id = user_days.user_id
where {full:UInt8} = 0
    and conversions.action_at >= (select toDateTime64(min(day), 3, 'UTC') from night_days)
    and toDate(conversions.action_at)
        between user_days.day and user_days.day + toIntervalDay({view_lookback_days:UInt32})
union distinct
select customer_id, api_name, action_id, 'client_event'
from conversions
where {full:UInt8} = 0
    and {forced:UInt8} = 0
    and toDate(action_at) between {whole_from:Date} and {whole_to:Date} + toIntervalDay({view_lookback_days:UInt32})
