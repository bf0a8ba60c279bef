-- Purpose:    Take the views that conversions may be attributed to (R4).
-- Reads:      night_conversions, night_links, night_candidates, client_events, exposures_versions, night_versions
-- Writes:     night_views
-- Runs:       home
-- Grain:      one row per (account, visitor, credit, optimization, moment)
-- Parameters: cutoff, many_visitors, of_crowds
-- Notes:      Run for crowded users before 33, which asks their views, and after it for the candidates that it lists. A session that is open
--             at a conversion has events on its day or the day before. Of the days of a window, the first and the last view of
--             each variation stand in the exposures, and no other can win, but on one day: that of the conversion, where the
--             last view before it is asked, or under first the one that the window begins on. Events are looked for by
--             their visitor alone first: one text is looked up three times as fast as a tuple.
insert into night_views (customer_id, visitor_id, credit, optimization_id, place, received_place, variation_id, viewed_at)
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
        select distinct
            customer_id,
            user_domain,
            user_id,
            window_days,
            credit,
            toDate(converted_at - toIntervalDay(greatest(window_days, 1))) as from_day,
            toDate(converted_at) as to_day
        from night_conversions
        where {of_crowds:UInt8} = 1
            and is_duplicate = 0
            and is_retracted = 0
            and event_id != ''
            and (window_days > 0 or credit = 'last')
            and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from crowded_users)
    ),
    asked as
    (
        select customer_id, visitor_id, window_days, credit, toDate(assumeNotNull(views_from)) as from_day, toDate(converted_at) as to_day
        from night_candidates
        where {of_crowds:UInt8} = 0
            and views_from is not null
        union all
        select night_links.customer_id, night_links.visitor_id, window_days, credit, from_day, to_day
        from crowded_days
        inner join night_links
            on crowded_days.customer_id = night_links.customer_id
            and crowded_days.user_domain = night_links.user_domain
            and crowded_days.user_id = night_links.user_id
    ),
    -- The days of which all views are taken.
    whole_days as
    (
        select distinct
            customer_id,
            visitor_id,
            arrayJoin(multiIf(
                window_days = 0, arrayMap(later -> from_day + later, range(toUInt32(to_day - from_day + 1))),
                credit = 'first', [from_day],
                [to_day]
            )) as day
        from asked
    ),
    windowed as
    (
        select customer_id, visitor_id, min(from_day) as from_day, max(to_day) as to_day
        from asked
        where window_days > 0
        group by customer_id, visitor_id
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
            and visitor_id in (select visitor_id from whole_days)
            and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from whole_days)
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, received_at, type, optimization_id, variation_id
            rows between 1 preceding and current row
        )
    ),
    days_seen as
    (
        select customer_id, visitor_id, optimization_id, variation_id, first_viewed_at, first_received_at, last_viewed_at, last_received_at
        from exposures_versions
        where (day, exposures_versions.version) in (select night_versions.day, night_versions.version from night_versions where table_name = 'exposures_versions')
            and day between assumeNotNull((select min(from_day) from windowed)) and assumeNotNull((select max(to_day) from windowed))
            and visitor_id in (select visitor_id from windowed)
            and (customer_id, visitor_id) in (select customer_id, visitor_id from windowed)
    ),
    views as
    (
        select customer_id, visitor_id, optimization_id, variation_id, occurred_at as viewed_at, received_at
        from looked_back
        where type = 'view' and not is_copy
        union all
        select customer_id, visitor_id, optimization_id, variation_id, seen.1, seen.2
        from days_seen
        array join [(first_viewed_at, first_received_at), (last_viewed_at, last_received_at)] as seen
    )
-- Of views at one moment by one visitor one can win: under last the one received later, under first earlier, then the smaller variation.
select
    customer_id,
    visitor_id,
    arrayJoin(if((customer_id, visitor_id) in (select customer_id, visitor_id from asked where credit = 'first'), ['last', 'first'], ['last']))::Enum8('last' = 0, 'first' = 1) as credit,
    optimization_id,
    if(credit = 'last', 1, -1) * toUnixTimestamp64Milli(views.viewed_at) as place,
    max(if(credit = 'last', 1, -1) * toUnixTimestamp64Milli(views.received_at) as received_place),
    argMin(variation_id, (-received_place, variation_id)),
    views.viewed_at
from views
group by customer_id, visitor_id, credit, optimization_id, views.viewed_at
