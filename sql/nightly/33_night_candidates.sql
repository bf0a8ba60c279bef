-- Purpose:    List the visitors that each conversion may be attributed to (R2), and from when on their views count (R4).
-- Reads:      night_conversions, night_links, night_views, sessions_versions, night_versions
-- Writes:     night_candidates
-- Runs:       home
-- Grain:      one row per (conversion that counts and has an event, visitor linked in time)
-- Parameters: clocks_apart_seconds, many_visitors, crowded
-- Notes:      A user id may be that of thousands of visitors: a login that many share. Where of each optimization the view with the
--             largest place by any of them may get the credit, no other visitor can, and only those who saw them are listed:
--             under a window of days always, under session where the rule is last. Sessions of a visitor never overlap, so the
--             last one that started by then is the only one that can be open. views_from and place_before say which views
--             may win; which of them does is in 35, and here for crowded users.
insert into night_candidates
    (conversion, customer_id, visitor_id, converted_at, window_days, credit, views_from, session_started_at, place_before)
with
    counted as
    (
        select
            conversion,
            customer_id,
            user_domain,
            user_id,
            converted_at,
            window_days,
            credit,
            converted_at - toIntervalDay(window_days) as window_from,
            received_at + toIntervalSecond({clocks_apart_seconds:UInt32}) as linked_until
        from night_conversions
        where is_duplicate = 0
            and is_retracted = 0
            and event_id != ''
    ),
    sessions_near as
    (
        select customer_id, visitor_id, started_at, max(expires_at) as open_until
        from sessions_versions
        where (day, sessions_versions.version) in (select day, night_versions.version from night_versions where table_name = 'sessions_versions')
            and day in (select arrayJoin([toDate(converted_at), toDate(converted_at) - 1]) from night_conversions where window_days = 0)
            and visitor_id in (select visitor_id from night_links) -- a text is looked up faster than a tuple
            and (customer_id, visitor_id) in (select customer_id, visitor_id from night_links)
        group by customer_id, visitor_id, started_at
    ),
    crowded_users as
    (
        select customer_id, user_domain, user_id, visitor_id, linked_at
        from night_links
        where (customer_id, user_domain, user_id) in
        (
            select customer_id, user_domain, user_id
            from night_links
            group by customer_id, user_domain, user_id
            having count() >= {many_visitors:UInt32}
        )
    ),
    -- The views of a crowded user's visitors, with until when the session is open that each is in, if it was looked for: of several at
    -- one moment the one that wins.
    user_views as
    (
        select
            crowded_users.customer_id as customer_id,
            crowded_users.user_domain as user_domain,
            crowded_users.user_id as user_id,
            night_views.credit as credit,
            night_views.optimization_id as optimization_id,
            night_views.place as place,
            night_views.viewed_at as viewed_at,
            argMin((night_views.visitor_id, crowded_users.linked_at, sessions_near.open_until), (-night_views.received_place, night_views.variation_id, night_views.visitor_id)) as best
        from night_views
        asof left join
        (
            select customer_id, visitor_id, started_at, open_until
            from sessions_near
            where {crowded:UInt8} = 1
        ) as sessions_near
            on night_views.customer_id = sessions_near.customer_id
            and night_views.visitor_id = sessions_near.visitor_id
            and night_views.viewed_at >= sessions_near.started_at
        inner join crowded_users
            on night_views.customer_id = crowded_users.customer_id
            and night_views.visitor_id = crowded_users.visitor_id
        group by customer_id, user_domain, user_id, credit, optimization_id, place, viewed_at
    ),
    user_optimizations as
    (
        select customer_id, user_domain, user_id, groupUniqArray(optimization_id) as optimization_ids
        from user_views
        group by customer_id, user_domain, user_id
    ),
    asked as
    (
        select
            counted.*,
            if(credit = 'last', toUnixTimestamp64Milli(converted_at), 1 - toUnixTimestamp64Milli(window_from)) as place_before,
            arrayJoin(user_optimizations.optimization_ids) as optimization_id
        from counted
        inner join user_optimizations
            on counted.customer_id = user_optimizations.customer_id
            and counted.user_domain = user_optimizations.user_domain
            and counted.user_id = user_optimizations.user_id
        where window_days > 0 or credit = 'last'
    ),
    -- Of each conversion and optimization the view that comes first, if it may get the credit. One out of the window does not matter:
    -- then none is in it.
    seen as
    (
        select
            asked.conversion as conversion,
            groupUniqArrayIf(user_views.best.1, asked.window_days = 0 or is_in_window) as visitor_ids
        from asked
        asof inner join user_views
            on asked.customer_id = user_views.customer_id
            and asked.user_domain = user_views.user_domain
            and asked.user_id = user_views.user_id
            and asked.credit = user_views.credit
            and asked.optimization_id = user_views.optimization_id
            and asked.place_before > user_views.place
        group by conversion
        having length(visitor_ids) > 0
            and min
            (
                asked.window_days > 0 and not (user_views.viewed_at >= asked.window_from and user_views.viewed_at < asked.converted_at as is_in_window)
                or user_views.best.2 <= asked.linked_until and (asked.window_days > 0 or asked.converted_at < user_views.best.3)
            )
    ),
    linked as
    (
        select counted.*, night_links.visitor_id as visitor_id
        from counted
        inner join night_links
            on counted.customer_id = night_links.customer_id
            and counted.user_domain = night_links.user_domain
            and counted.user_id = night_links.user_id
        where night_links.linked_at <= counted.linked_until
            and counted.conversion not in (select conversion from seen)
        union all
        select counted.*, arrayJoin(seen.visitor_ids)
        from counted
        inner join seen
            on counted.conversion = seen.conversion
    )
select
    linked.conversion,
    linked.customer_id,
    linked.visitor_id,
    linked.converted_at,
    linked.window_days,
    linked.credit,
    if(linked.window_days > 0, linked.window_from, open_since) as views_since,
    if(linked.window_days = 0 and linked.converted_at < sessions_near.open_until, sessions_near.started_at, null) as open_since,
    if(linked.credit = 'last', toUnixTimestamp64Milli(linked.converted_at), 1 - toUnixTimestamp64Milli(ifNull(views_since, linked.converted_at)))
from linked
asof left join sessions_near
    on linked.customer_id = sessions_near.customer_id
    and linked.visitor_id = sessions_near.visitor_id
    and linked.converted_at >= sessions_near.started_at
