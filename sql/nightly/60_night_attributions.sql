-- Purpose:    Attribute each conversion to the variation seen last, per optimization (R4).
-- Reads:      night_candidates, night_views, night_conversions
-- Writes:     night_attributions
-- Grain:      one row per (conversion that counts, optimization)
-- Parameters: none
-- Notes:      Of each visitor the last view before a conversion is looked up, so that time goes with the number of
--             candidates and of views, and not with their product: a user id may have thousands of visitors, and a
--             visitor hundreds of thousands of views.
insert into night_attributions
    (customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value,
     optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id)
with
    visitor_optimizations as
    (
        select customer_id, visitor_id, groupUniqArray(optimization_id) as optimization_ids
        from night_views
        group by customer_id, visitor_id
    ),
    candidates as
    (
        select
            night_candidates.ingest_id as ingest_id,
            night_candidates.customer_id as customer_id,
            night_candidates.visitor_id as visitor_id,
            night_candidates.converted_at as converted_at,
            assumeNotNull(night_candidates.session_started_at) as open_since,
            arrayJoin(visitor_optimizations.optimization_ids) as optimization_id
        from night_candidates
        inner join visitor_optimizations
            on night_candidates.customer_id = visitor_optimizations.customer_id
            and night_candidates.visitor_id = visitor_optimizations.visitor_id
        where night_candidates.session_started_at is not null
    ),
    winners as
    (
        select
            candidates.ingest_id as ingest_id,
            candidates.optimization_id as optimization_id,
            argMax
            (
                (candidates.open_since, night_views.variation_id, candidates.visitor_id, night_views.viewed_at),
                night_views.rank
            ) as best
        from candidates
        asof inner join night_views
            on candidates.customer_id = night_views.customer_id
            and candidates.visitor_id = night_views.visitor_id
            and candidates.optimization_id = night_views.optimization_id
            and candidates.converted_at > night_views.viewed_at
        where night_views.viewed_at >= candidates.open_since
        group by ingest_id, optimization_id
    )
select
    night_conversions.customer_id,
    toDate(night_conversions.converted_at),
    night_conversions.event_id,
    night_conversions.api_name,
    night_conversions.action_id,
    night_conversions.user_domain,
    night_conversions.user_id,
    night_conversions.converted_at,
    night_conversions.value,
    winners.optimization_id,
    winners.best.2 as variation_id,
    winners.best.3 as visitor_id,
    winners.best.1 as session_started_at,
    winners.best.4 as viewed_at,
    night_conversions.ingest_id
from winners
inner join night_conversions
    on winners.ingest_id = night_conversions.ingest_id
