-- Purpose:    How an optimization's figures went, day by day (R9 of each day by itself).
-- Reads:      exposures, attributions
-- Grain:      one row per (day, variation) with a view or an attribution
-- Parameters: customer_id, optimization_id, event_id, from_day, to_day
-- Notes:      A visitor of two days counts on each, so days don't add up to a range.
with
    figures as
    (
        select day, variation_id, uniqExact(visitor_id) as visitors, toUInt64(0) as conversions
        from exposures
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and day between {from_day:Date} and {to_day:Date}
        group by day, variation_id
        union all
        select conversion_day, variation_id, toUInt64(0), count()
        from attributions
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and event_id = {event_id:String}
            and conversion_day between {from_day:Date} and {to_day:Date}
        group by conversion_day, variation_id
    )
select day, variation_id, sum(figures.visitors) as visitors, sum(figures.conversions) as conversions
from figures
group by day, variation_id
order by day, variation_id
