-- On which days the conversions to decide lie: years of others need not be read then.
create table if not exists night_key_days
(
    customer_id String,
    api_name String,
    action_id String,
    day Date
)
engine = MergeTree
order by (day, customer_id, api_name, action_id)
