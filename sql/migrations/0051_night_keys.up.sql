-- The conversions that an incremental run decides again.
create table if not exists night_keys
(
    customer_id String comment 'Account',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    cause LowCardinality(String) comment 'conversion, identity, client_event, event_name, rule, adjustment, erasure or rerun'
)
engine = MergeTree
order by (customer_id, api_name, action_id)
comment 'Conversions to decide again: working table of the night'
