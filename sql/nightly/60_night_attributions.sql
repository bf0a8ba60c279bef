-- Purpose:    Attribute each conversion to the variation seen last, per optimization (R4).
-- Reads:      night_candidates, client_events, night_doubles, night_conversions
-- Writes:     night_attributions
-- Grain:      one row per (conversion that counts, optimization)
-- Parameters: cutoff, doubled
-- Notes:      Ties go to the later receipt, the smaller variation, the smaller visitor. Views are looked for by their
--             visitor alone first: one text is looked up three times as fast as a tuple.
insert into night_attributions
    (customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value,
     optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id)
with
    -- A session touches two days at most; joining by day keeps a visitor with years of views from
    -- being paired with each conversion whole.
    candidate_days as
    (
        select
            ingest_id,
            customer_id,
            visitor_id,
            converted_at,
            assumeNotNull(night_candidates.session_started_at) as open_since,
            arrayJoin(arrayDistinct([toDate(open_since), toDate(converted_at)])) as view_day
        from night_candidates
        where night_candidates.session_started_at is not null
    ),
    candidate_views as
    (
        select
            customer_id,
            visitor_id,
            optimization_id,
            variation_id,
            occurred_at as viewed_at,
            toDate(occurred_at) as view_day,
            received_at
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and type = 'view'
            and visitor_id in (select visitor_id from night_candidates)
            and (toDate(occurred_at), customer_id, visitor_id) in (select view_day, customer_id, visitor_id from candidate_days)
            and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
        union all
        select
            customer_id,
            visitor_id,
            optimization_id,
            variation_id,
            occurred_at,
            toDate(occurred_at),
            received_at
        from night_doubles
        where type = 'view'
    ),
    winning_views as
    (
        select
            candidate_days.ingest_id as ingest_id,
            candidate_days.visitor_id as visitor_id,
            candidate_days.open_since as session_started_at,
            candidate_views.optimization_id as optimization_id,
            candidate_views.variation_id as variation_id,
            candidate_views.viewed_at as viewed_at
        from candidate_days
        inner join candidate_views
            on candidate_days.customer_id = candidate_views.customer_id
            and candidate_days.visitor_id = candidate_views.visitor_id
            and candidate_days.view_day = candidate_views.view_day
        where candidate_views.viewed_at >= candidate_days.open_since
            and candidate_views.viewed_at < candidate_days.converted_at
        order by
            candidate_views.viewed_at desc,
            candidate_views.received_at desc,
            candidate_views.variation_id,
            candidate_days.visitor_id
        limit 1 by candidate_days.ingest_id, candidate_views.optimization_id
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
    night_conversions.ingest_id
from winning_views
inner join night_conversions
    on winning_views.ingest_id = night_conversions.ingest_id
