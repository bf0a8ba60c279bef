-- Conversions to decide anew, by their key.
create table if not exists night_keys
(
    customer_id String,
    api_name String,
    action_id String,
    cause LowCardinality(String)
)
engine = MergeTree
order by (customer_id, api_name, action_id)
