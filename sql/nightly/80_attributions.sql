-- Purpose:    Attribute each conversion to the variation seen last, per optimization (R4).
-- Reads:      night_candidates, night_events, night_conversions
-- Writes:     attributions_versions
-- Grain:      one row per (conversion that counts, optimization)
-- Parameters: version
-- Notes:      Ties go to the later receipt, the smaller variation, the smaller visitor.
insert into attributions_versions
    (customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value,
     optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id, version)
with
    candidate_views as
    (
        select customer_id, visitor_id, optimization_id, variation_id, occurred_at as viewed_at, received_at
        from night_events
        where type = 'view'
            and (customer_id, visitor_id) in (select customer_id, visitor_id from night_candidates)
    ),
    winning_views as
    (
        select
            night_candidates.ingest_id as ingest_id,
            night_candidates.visitor_id as visitor_id,
            assumeNotNull(night_candidates.session_started_at) as session_started_at,
            candidate_views.optimization_id as optimization_id,
            candidate_views.variation_id as variation_id,
            candidate_views.viewed_at as viewed_at
        from night_candidates
        inner join candidate_views
            on night_candidates.customer_id = candidate_views.customer_id
            and night_candidates.visitor_id = candidate_views.visitor_id
        where candidate_views.viewed_at >= night_candidates.session_started_at
            and candidate_views.viewed_at < night_candidates.converted_at
        order by
            candidate_views.viewed_at desc,
            candidate_views.received_at desc,
            candidate_views.variation_id,
            night_candidates.visitor_id
        limit 1 by night_candidates.ingest_id, candidate_views.optimization_id
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
    winning_views.optimization_id,
    winning_views.variation_id,
    winning_views.visitor_id,
    winning_views.session_started_at,
    winning_views.viewed_at,
    night_conversions.ingest_id,
    {version:UInt64}
from winning_views
inner join night_conversions
    on winning_views.ingest_id = night_conversions.ingest_id
