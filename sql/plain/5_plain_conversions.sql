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
    )
select
    received.* except (ingest_id),
    received.ingest_id as ingest_id,
    named.event_id as event_id,
    ruled.window_days as window_days, -- without a rule 0, the open session
    if(ruled.credit = 'first', 'first', 'last') as credit,
    row_number() over (partition by customer_id, api_name, action_id order by received_at, toString(received.ingest_id)) > 1 as is_duplicate
from received
left join named
    on received.ingest_id = named.ingest_id
left join ruled
    on received.ingest_id = ruled.ingest_id
