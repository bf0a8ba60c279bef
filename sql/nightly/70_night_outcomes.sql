-- Purpose:    Say what became of each conversion received (R6).
-- Reads:      night_conversions, night_links, night_candidates, exposures_versions, night_versions, night_attributions
-- Writes:     night_outcomes
-- Grain:      one row per conversion received
-- Parameters: view_lookback_days
-- Notes:      The first reason that applies counts, so their order is the rule.
insert into night_outcomes
    (customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome)
with
    -- A visitor's days of views.
    viewed as
    (
        select
            customer_id,
            visitor_id,
            groupArray(first_viewed_at) as firsts_at,
            groupArray(last_viewed_at) as lasts_at
        from exposures_versions
        where (day, exposures_versions.version) in (select night_versions.day, night_versions.version from night_versions where table_name = 'exposures')
            and day >= (select min(toDate(converted_at)) - {view_lookback_days:UInt32} from night_candidates)
            and visitor_id in (select visitor_id from night_candidates) -- twice as fast as the tuple alone
            and (customer_id, visitor_id) in (select customer_id, visitor_id from night_candidates)
        group by customer_id, visitor_id
    ),
    -- The look-back is longer than a day: of one that it does not hold whole, it holds the first view or the last.
    viewed_before as
    (
        select night_candidates.ingest_id as ingest_id
        from night_candidates
        inner join viewed
            on night_candidates.customer_id = viewed.customer_id
            and night_candidates.visitor_id = viewed.visitor_id
        where arrayExists(
            (first_at, last_at) -> first_at < converted_at and last_at >= converted_at - toIntervalDay({view_lookback_days:UInt32}),
            viewed.firsts_at,
            viewed.lasts_at
        )
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
        ingest_id not in (select ingest_id from night_attributions), 'session_expired',
        'attributed'
    )
from night_conversions
settings min_insert_block_size_rows = 262144
