-- Purpose:    Every copy of a conversion that was received, with what became of it.
-- Reads:      conversions, conversion_outcomes
-- Grain:      one row per ingest_id
-- Parameters: customer_id, api_name, action_id
-- Notes:      A copy without an outcome was received after the last cutoff, or became visible after
--             that run.
with
    copies as
    (
        select api_name, action_id, user_domain, user_id, action_at, value, received_at, inserted_at, ingest_id
        from conversions
        where customer_id = {customer_id:String}
            and api_name = {api_name:String}
            and action_id = {action_id:String}
        order by received_at, action_at, user_domain, user_id, value, inserted_at
        limit 1 by ingest_id
    ),
    outcomes as
    (
        select ingest_id, outcome
        from conversion_outcomes
        where customer_id = {customer_id:String}
            and api_name = {api_name:String}
            and action_id = {action_id:String}
    )
select
    toString(copies.ingest_id) as ingest_id,
    copies.user_domain as user_domain,
    copies.user_id as user_id,
    copies.action_at as action_at,
    copies.value as value,
    copies.received_at as received_at,
    copies.inserted_at as inserted_at,
    if(outcomes.outcome = '', 'pending', toString(outcomes.outcome)) as outcome
from copies
left join outcomes on copies.ingest_id = outcomes.ingest_id
order by received_at, ingest_id
