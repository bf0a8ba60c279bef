-- Purpose:    How many mature visitors converted within their window, and what they are worth (R11).
-- Reads:      entries, attributions
-- Grain:      one row per (account, optimization, segment, day of entry if asked for, goal event, variation) with a conversion
-- Parameters: customer_id, optimization_id, from_day, to_day, segment_name, segment_value, by_attribute, by_day, cutoff,
--             goal_customers, goal_optimizations, goal_events, goal_days, cap_millionths
-- Notes:      Days of entry are those of entered.sql. The goals with their windows are given in four arrays that go together. Whatever variation a conversion is attributed to, it counts for the one that
--             its visitor entered with. Sums are exact, so that they don't depend on the order of the rows. A cap holds for each optimization,
--             segment and goal by itself: the nearest rank among the totals that are not 0, 0 for no cap.
with
    goals_asked as
    (
        select goal.1 as customer_id, goal.2 as optimization_id, goal.3 as event_id, goal.4 as window_days
        from
        (
            select arrayJoin(arrayZip(
                {goal_customers:Array(String)}, {goal_optimizations:Array(String)}, {goal_events:Array(String)}, {goal_days:Array(UInt16)}
            )) as goal
        )
    ),
    attributed as
    (
        select
            credited.customer_id as customer_id,
            credited.optimization_id as optimization_id,
            credited.event_id as event_id,
            visitor_id,
            converted_at,
            worth,
            goals_asked.window_days as window_days
        from
        (
            select customer_id, optimization_id, event_id, visitor_id, converted_at, ifNull(attributions.value, 0) as worth
            from attributions
            where ({customer_id:String} = '' or customer_id = {customer_id:String})
                and ({optimization_id:String} = '' or optimization_id = {optimization_id:String})
                and conversion_day between {from_day:Date} and {to_day:Date} + 91
        ) as credited
        inner join goals_asked
            on credited.customer_id = goals_asked.customer_id
            and credited.optimization_id = goals_asked.optimization_id
            and credited.event_id = goals_asked.event_id
    ),
    entered as
    (
        select
            customer_id,
            optimization_id,
            if({by_attribute:String} = '', '', attributes[{by_attribute:String}]) as segment,
            if({by_day:UInt8} = 1, toDate(entered_at - toIntervalMillisecond(1)), toDate(0)) as entry_day,
            variation_id,
            visitor_id,
            entered_at
        from entries
        where ({customer_id:String} = '' or customer_id = {customer_id:String})
            and ({optimization_id:String} = '' or optimization_id = {optimization_id:String})
            and day between {from_day:Date} and {to_day:Date}
            and ({segment_name:String} = '' or attributes[{segment_name:String}] = {segment_value:String})
    ),
    visitors as
    (
        select
            attributed.customer_id as customer_id,
            attributed.optimization_id as optimization_id,
            entered.segment as segment,
            entered.entry_day as entry_day,
            attributed.event_id as event_id,
            entered.variation_id as variation_id,
            attributed.visitor_id as visitor_id,
            sum(toDecimal128(attributed.worth, 4)) as total
        from entered
        inner join attributed
            on entered.customer_id = attributed.customer_id
            and entered.optimization_id = attributed.optimization_id
            and entered.visitor_id = attributed.visitor_id
        where attributed.converted_at >= entered.entered_at
            and attributed.converted_at < entered.entered_at + toIntervalDay(attributed.window_days)
            and entered.entered_at <= {cutoff:DateTime64(3, 'UTC')} - toIntervalDay(attributed.window_days)
        group by customer_id, optimization_id, segment, entry_day, event_id, variation_id, visitor_id
    ),
    -- The nearest rank among the totals that are not 0, which come first here.
    ranked as
    (
        select
            *,
            row_number() over (partition by customer_id, optimization_id, segment, event_id order by total = 0, total) as place,
            countIf(total != 0) over (partition by customer_id, optimization_id, segment, event_id) as with_value
        from visitors
    ),
    capped as
    (
        select
            *,
            if(
                {cap_millionths:UInt64} > 0 and with_value > 0,
                least(total, maxIf(total, place <= intDiv(with_value * {cap_millionths:UInt64} + 999999, 1000000)) over (partition by customer_id, optimization_id, segment, event_id)),
                total
            ) as worth
        from ranked
    )
select
    customer_id,
    optimization_id,
    segment,
    entry_day,
    event_id,
    variation_id,
    count() as converters,
    sum(worth) as value_total,
    toFloat64(sum(toDecimal256(worth, 4) * toDecimal256(worth, 4))) as value_squares
from capped
group by customer_id, optimization_id, segment, entry_day, event_id, variation_id
order by customer_id, optimization_id, segment, entry_day, event_id, variation_id
