-- Purpose:    Take the views that conversions may be attributed to (R4).
-- Reads:      night_conversions, night_links, night_candidates, night_views, client_events
-- Writes:     night_views
-- Grain:      one row per (account, visitor, optimization, moment)
-- Parameters: cutoff, many_visitors
-- Notes:      Run twice: before 33, which asks the views of crowded users, and after it, for the candidates that it lists. A session
--             that is open at a conversion has events on its day or the day before. Events are looked for by their visitor
--             alone first: one text is looked up three times as fast as a tuple.
insert into night_views (customer_id, visitor_id, optimization_id, viewed_at, received_at, variation_id)
with
    crowded_users as
    (
        select customer_id, user_domain, user_id
        from night_links
        group by customer_id, user_domain, user_id
        having count() >= {many_visitors:UInt32}
    ),
    crowded_days as
    (
        select distinct customer_id, user_domain, user_id, arrayJoin([toDate(converted_at), toDate(converted_at) - 1]) as day
        from night_conversions
        where is_duplicate = 0
            and event_id != ''
            and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from crowded_users)
    ),
    visitor_days as
    (
        select night_links.customer_id as customer_id, night_links.visitor_id as visitor_id, crowded_days.day as day
        from crowded_days
        inner join night_links
            on crowded_days.customer_id = night_links.customer_id
            and crowded_days.user_domain = night_links.user_domain
            and crowded_days.user_id = night_links.user_id
        union distinct
        select customer_id, visitor_id, toDate(assumeNotNull(views_from)) + arrayJoin(range(toUInt32(toDate(converted_at) - toDate(assumeNotNull(views_from)) + 1)))
        from night_candidates
        where views_from is not null
    ),
    days_to_take as
    (
        select customer_id, visitor_id, day
        from visitor_days
        where (customer_id, visitor_id, day) not in (select customer_id, visitor_id, toDate(viewed_at) from night_views)
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
            and visitor_id in (select visitor_id from days_to_take)
            and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from days_to_take)
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, received_at, type, optimization_id, variation_id
            rows between 1 preceding and current row
        )
    )
-- Of views at one moment by one visitor one can win: the one received later, then the smaller variation.
select
    customer_id,
    visitor_id,
    optimization_id,
    occurred_at,
    max(looked_back.received_at),
    argMin(variation_id, (-toUnixTimestamp64Milli(looked_back.received_at), variation_id))
from looked_back
where type = 'view' and not is_copy
group by customer_id, visitor_id, optimization_id, occurred_at
