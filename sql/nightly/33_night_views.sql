-- Purpose:    List the views that conversions may be attributed to, one per moment, with the order in which they win:
--             the later one, then the later receipt, the smaller variation, the smaller visitor (R4).
-- Reads:      night_conversions, night_links, client_events
-- Writes:     night_views
-- Grain:      one row per (account, visitor, optimization, moment)
-- Parameters: cutoff
-- Notes:      A session that is open at a conversion has events on its day or the day before. Events are looked for by their
--             visitor alone first: one text is looked up three times as fast as a tuple.
insert into night_views (customer_id, visitor_id, optimization_id, viewed_at, variation_id, place)
with
    user_days as
    (
        select distinct customer_id, user_domain, user_id, arrayJoin([toDate(converted_at), toDate(converted_at) - 1]) as day
        from night_conversions
        where is_duplicate = 0
            and event_id != ''
    ),
    visitor_days as
    (
        select distinct night_links.customer_id as customer_id, night_links.visitor_id as visitor_id, user_days.day as day
        from user_days
        inner join night_links
            on user_days.customer_id = night_links.customer_id
            and user_days.user_domain = night_links.user_domain
            and user_days.user_id = night_links.user_id
    ),
    -- Of the copies of an event the one received first counts (R5).
    looked_back as
    (
        select
            customer_id,
            visitor_id,
            type,
            optimization_id,
            variation_id,
            occurred_at,
            received_at,
            occurred_at = lagInFrame(occurred_at) over visitor and ingest_id = lagInFrame(ingest_id) over visitor as is_copy
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and visitor_id in (select visitor_id from visitor_days)
            and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from visitor_days)
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, received_at, type, optimization_id, variation_id
            rows between 1 preceding and current row
        )
    ),
    -- Of views at one moment by one visitor one can win.
    views_at_once as
    (
        select
            customer_id,
            visitor_id,
            optimization_id,
            occurred_at as viewed_at,
            max(received_at) as last_received_at,
            argMin(variation_id, (-toUnixTimestamp64Milli(received_at), variation_id)) as winning_variation_id
        from looked_back
        where type = 'view' and not is_copy
        group by customer_id, visitor_id, optimization_id, viewed_at
    )
select
    customer_id,
    visitor_id,
    optimization_id,
    viewed_at,
    winning_variation_id,
    row_number() over (order by viewed_at desc, last_received_at desc, winning_variation_id, visitor_id) as place
from views_at_once
