-- Purpose:    Say what became of each conversion received (R6).
-- Reads:      night_conversions, night_links, night_candidates, night_events, attributions_versions
-- Writes:     conversion_outcomes_versions
-- Grain:      one row per conversion received
-- Parameters: version, view_lookback_days
-- Notes:      The first reason that applies counts, so their order is the rule.
insert into conversion_outcomes_versions
    (customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome, version)
with
    candidate_views as
    (
        select customer_id, visitor_id, occurred_at as viewed_at
        from night_events
        where type = 'view'
            and (customer_id, visitor_id) in (select customer_id, visitor_id from night_candidates)
    ),
    -- The last view before the conversion tells whether any lies in the days before it.
    viewed_before as
    (
        select night_candidates.ingest_id as ingest_id
        from night_candidates
        asof inner join candidate_views
            on night_candidates.customer_id = candidate_views.customer_id
            and night_candidates.visitor_id = candidate_views.visitor_id
            and night_candidates.converted_at > candidate_views.viewed_at
        where candidate_views.viewed_at
            >= night_candidates.converted_at - toIntervalDay({view_lookback_days:UInt32})
    )
select
    customer_id,
    toDate(converted_at),
    api_name,
    action_id,
    converted_at,
    received_at,
    ingest_id,
    multiIf(
        is_duplicate, 'duplicate',
        event_id = '', 'event_not_defined',
        (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from night_links),
            'no_identity',
        ingest_id not in (select ingest_id from night_candidates), 'identity_too_late',
        ingest_id not in (select ingest_id from viewed_before), 'no_view_before',
        ingest_id not in
        (
            select ingest_id from attributions_versions
            where version = {version:UInt64}
        ), 'session_expired',
        'attributed'
    ),
    {version:UInt64}
from night_conversions
