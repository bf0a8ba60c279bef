-- Purpose:    What is known of the conversions whose keys a batch of an import has: what counts, and its value now.
-- Reads:      conversions, adjustments, import_keys
-- Grain:      one row per row of the batch whose key is known
-- Parameters: batch_id, since
-- Notes:      What became visible later is the import's own. Of a conversion that was retracted the value is that before.
with
    asked as
    (
        select place, customer_id, api_name, action_id
        from import_keys
        where batch_id = {batch_id:UUID}
    ),
    counted as
    (
        select
            customer_id,
            api_name,
            action_id,
            argMin((user_domain, user_id, action_at, value), (received_at, toString(ingest_id))) as first
        from conversions
        where inserted_at < {since:DateTime64(3, 'UTC')}
            and action_id in (select action_id from asked)
            and (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from asked)
        group by customer_id, api_name, action_id
    ),
    restated as
    (
        select
            customer_id,
            api_name,
            action_id,
            argMax(value, (adjusted_at, received_at, toString(ingest_id))) as last_value
        from adjustments
        where kind = 'restate'
            and action_id in (select action_id from asked)
            and (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from asked)
        group by customer_id, api_name, action_id
    )
select
    asked.place as place,
    counted.first.1 as user_domain,
    counted.first.2 as user_id,
    counted.first.3 as action_at,
    counted.first.4 as value,
    if(restated.action_id = '', counted.first.4, restated.last_value) as current_value
from asked
inner join counted
    on asked.customer_id = counted.customer_id
    and asked.api_name = counted.api_name
    and asked.action_id = counted.action_id
left join restated
    on asked.customer_id = restated.customer_id
    and asked.api_name = restated.api_name
    and asked.action_id = restated.action_id
