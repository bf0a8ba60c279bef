-- Purpose:    List an account's conversions with what became of each, the last ones first.
-- Reads:      conversion_outcomes, attributions
-- Grain:      one row per conversion received
-- Parameters: customer_id, from_day, to_day, outcome, api_name, user_id, least_value, limit, offset
-- Notes:      An empty outcome, name or user id stands for all of them, and so does an empty value.
with listed as
(
    select conversion_day, api_name, action_id, user_domain, user_id, value, converted_at, received_at, ingest_id, toString(outcome) as became
    from conversion_outcomes
    where customer_id = {customer_id:String}
        and conversion_day between {from_day:Date} and {to_day:Date}
        and ({outcome:String} = '' or outcome = {outcome:String})
        and ({api_name:String} = '' or api_name = {api_name:String})
        and ({user_id:String} = '' or user_id = {user_id:String})
        and ({least_value:String} = '' or ifNull(value, 0) >= toDecimal64OrZero({least_value:String}, 4))
    order by converted_at desc, api_name, action_id, received_at, toString(ingest_id)
    limit {limit:UInt32} offset {offset:UInt32}
)
select
    listed.conversion_day as day,
    listed.api_name as api_name,
    listed.action_id as action_id,
    listed.user_domain as user_domain,
    listed.user_id as user_id,
    listed.value as value,
    listed.converted_at as converted_at,
    listed.received_at as received_at,
    listed.became as outcome,
    credited.optimizations as optimizations,
    credited.variations as variations
from listed
left join
(
    select ingest_id, groupArray(optimization_id) as optimizations, groupArray(variation_id) as variations
    from attributions
    where customer_id = {customer_id:String}
        and conversion_day between {from_day:Date} and {to_day:Date}
        and ingest_id in (select listed.ingest_id from listed)
    group by ingest_id
) as credited
    on listed.ingest_id = credited.ingest_id
    and listed.became = 'attributed'
order by listed.converted_at desc, listed.api_name, listed.action_id, listed.received_at, toString(listed.ingest_id)
