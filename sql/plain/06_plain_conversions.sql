-- Each conversion received, whether it is a duplicate (R5), and which event bore its name when it happened and which rule that had (R3). Rows under one
-- ingest_id are one row written twice, alike in all columns.
create or replace table plain_conversions engine = MergeTree order by (customer_id, api_name, action_id)
as with
    received as
    (
        select customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, ingest_id
        from conversions
        where received_at < {cutoff:DateTime64(3, 'UTC')}
        limit 1 by ingest_id
    ),
    named as
    (
        select received.ingest_id as ingest_id, event_names.event_id as event_id
        from received
        inner join event_names
            on received.customer_id = event_names.customer_id
            and received.api_name = event_names.api_name
        where event_names.valid_from <= received.action_at
            and (event_names.valid_to is null or received.action_at < event_names.valid_to)
    ),
    ruled as
    (
        select received.ingest_id as ingest_id, event_rules.window_days as window_days, event_rules.credit as credit
        from received
        inner join named
            on received.ingest_id = named.ingest_id
        inner join event_rules
            on received.customer_id = event_rules.customer_id
            and named.event_id = event_rules.event_id
        where event_rules.valid_from <= received.action_at
            and (event_rules.valid_to is null or received.action_at < event_rules.valid_to)
    ),
    -- Of the adjustments of a key the last one counts (R10).
    adjusted as
    (
        select customer_id, api_name, action_id, kind, value
        from adjustments
        where received_at < {cutoff:DateTime64(3, 'UTC')}
        order by adjusted_at desc, received_at desc, toString(ingest_id) desc
        limit 1 by customer_id, api_name, action_id
    )
select
    received.customer_id as customer_id,
    received.api_name as api_name,
    user_domain,
    user_id,
    received.action_id as action_id,
    action_at,
    received.value as value,
    received_at,
    received.ingest_id as ingest_id,
    named.event_id as event_id,
    ruled.window_days as window_days, -- without a rule 0, the open session
    if(ruled.credit = 'first', 'first', 'last') as credit,
    row_number() over (partition by received.customer_id, received.api_name, received.action_id order by received_at, toString(received.ingest_id)) > 1 as is_duplicate,
    not is_duplicate and adjusted.kind = 'retract' as is_retracted,
    if(adjusted.action_id = '', received.value, adjusted.value) as credited_value
from received
left join named
    on received.ingest_id = named.ingest_id
left join ruled
    on received.ingest_id = ruled.ingest_id
left join adjusted
    on received.customer_id = adjusted.customer_id
    and received.api_name = adjusted.api_name
    and received.action_id = adjusted.action_id
