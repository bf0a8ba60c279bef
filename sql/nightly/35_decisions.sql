-- Purpose:    Decide each conversion: its outcome (R6), and per optimization the view that gets the credit (R4).
-- Reads:      night_conversions, night_candidates, night_views, night_links, exposures_versions, night_versions,
--             decisions_versions, night_keys
-- Writes:     decisions_versions
-- Runs:       home
-- Grain:      one row per conversion received
-- Parameters: full, cutoff, version, decided_days, view_lookback_days
-- Notes:      Of each visitor the view that comes first by its place (night_views) is looked up, so that time goes with the number of
--             candidates and of views, and not with their product: a user id may have thousands of visitors, and a
--             visitor hundreds of thousands of views. Run for some hundred days at a time, which bounds the memory that parts take.
insert into decisions_versions
    (customer_id, day, event_id, api_name, action_id, user_domain, user_id, converted_at, value, credited_value, received_at, ingest_id, outcome,
     `credits.optimization_id`, `credits.variation_id`, `credits.visitor_id`, `credits.session_started_at`, `credits.viewed_at`, version)
with
    chosen as
    (
        select conversion, customer_id, visitor_id, converted_at, window_days, credit, views_from, session_started_at, place_before
        from night_candidates
        where toDate(converted_at) in {decided_days:Array(Date)}
    ),
    visitor_optimizations as
    (
        select customer_id, visitor_id, groupUniqArray(optimization_id) as optimization_ids
        from night_views
        group by customer_id, visitor_id
    ),
    candidates as
    (
        select
            chosen.conversion as conversion,
            chosen.customer_id as customer_id,
            chosen.visitor_id as visitor_id,
            chosen.converted_at as converted_at,
            chosen.credit as credit,
            assumeNotNull(chosen.views_from) as views_from,
            chosen.session_started_at as session_started_at,
            chosen.place_before as place_before,
            arrayJoin(visitor_optimizations.optimization_ids) as optimization_id
        from chosen
        inner join visitor_optimizations
            on chosen.customer_id = visitor_optimizations.customer_id
            and chosen.visitor_id = visitor_optimizations.visitor_id
        where chosen.views_from is not null
    ),
    winners as
    (
        select
            candidates.conversion as conversion,
            candidates.optimization_id as optimization_id,
            argMin
            (
                (night_views.variation_id, candidates.visitor_id, candidates.session_started_at, night_views.viewed_at),
                -- The view that happened last wins, then the one received later, the smaller variation, the smaller visitor; under
                -- first places are negative.
                (-night_views.place, -night_views.received_place, night_views.variation_id, candidates.visitor_id)
            ) as winner
        from candidates
        asof inner join night_views
            on candidates.customer_id = night_views.customer_id
            and candidates.visitor_id = night_views.visitor_id
            and candidates.credit = night_views.credit
            and candidates.optimization_id = night_views.optimization_id
            and candidates.place_before > night_views.place
        where night_views.viewed_at >= candidates.views_from
            and night_views.viewed_at < candidates.converted_at
        group by conversion, optimization_id
    ),
    credits as
    (
        select
            conversion,
            arraySort(groupArray((optimization_id, winner.1, winner.2, winner.3, winner.4))) as rows
        from winners
        group by conversion
    ),
    -- A visitor's days of views.
    viewed as
    (
        select customer_id, visitor_id, day, min(first_viewed_at) as first_at, max(last_viewed_at) as last_at
        from exposures_versions
        where (day, exposures_versions.version) in (select night_versions.day, night_versions.version from night_versions where table_name = 'exposures_versions')
            and day >= assumeNotNull((select min(toDate(converted_at)) - {view_lookback_days:UInt32} from chosen))
            and visitor_id in (select visitor_id from chosen where window_days = 0) -- twice as fast as the tuple alone
            and (customer_id, visitor_id) in (select customer_id, visitor_id from chosen where window_days = 0)
        group by customer_id, visitor_id, day
    ),
    -- The last day with a view before the conversion decides: no day before has a later one.
    viewed_before as
    (
        select chosen.conversion as conversion
        from chosen
        asof inner join viewed
            on chosen.customer_id = viewed.customer_id
            and chosen.visitor_id = viewed.visitor_id
            and chosen.converted_at > viewed.first_at
        where chosen.window_days = 0
            and viewed.last_at >= chosen.converted_at - toIntervalDay({view_lookback_days:UInt32})
    )
select
    customer_id,
    toDate(converted_at) as decided_day,
    event_id,
    api_name,
    action_id,
    user_domain,
    user_id,
    converted_at,
    value,
    credited_value,
    received_at,
    night_conversions.ingest_id,
    -- The first reason that applies counts, so their order is the rule.
    multiIf(
        is_duplicate, 'duplicate',
        is_retracted, 'retracted',
        event_id = '', 'event_not_defined',
        (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from night_links), 'no_identity',
        night_conversions.conversion not in (select conversion from chosen), 'identity_too_late',
        empty(credits.rows) and (window_days > 0 or night_conversions.conversion not in (select conversion from viewed_before)), 'no_view_before',
        empty(credits.rows), 'session_expired',
        'attributed'
    ),
    credits.rows.1,
    credits.rows.2,
    credits.rows.3,
    credits.rows.4,
    credits.rows.5,
    {version:UInt64}
from night_conversions
left join credits
    on night_conversions.conversion = credits.conversion
where received_at < {cutoff:DateTime64(3, 'UTC')}
    and toDate(converted_at) in {decided_days:Array(Date)}
union all
-- The other conversions of the days.
select
    customer_id,
    day,
    event_id,
    api_name,
    action_id,
    user_domain,
    user_id,
    converted_at,
    value,
    credited_value,
    received_at,
    ingest_id,
    outcome,
    `credits.optimization_id`,
    `credits.variation_id`,
    `credits.visitor_id`,
    `credits.session_started_at`,
    `credits.viewed_at`,
    {version:UInt64}
from decisions_versions
where {full:UInt8} = 0
    and day in {decided_days:Array(Date)}
    and (day, decisions_versions.version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'decisions_versions' group by published_days.day)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from night_keys)
settings min_insert_block_size_rows = 262144
