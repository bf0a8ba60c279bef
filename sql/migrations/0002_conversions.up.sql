-- Every conversion received, as it came: duplicates by the sender, and rows written twice, lie next to each other (R5).
create table if not exists conversions
(
    customer_id String comment 'Account',
    api_name String comment 'Name of the event as the backend sent it',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system',
    action_id String comment 'The id of the conversion given by the sender',
    action_at DateTime64(3, 'UTC') comment 'When it happened (actionTimestamp)',
    value Nullable(Decimal(18, 4)) comment 'Monetary value, if any',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received it',
    inserted_at DateTime64(3, 'UTC') default now64(3, 'UTC') comment 'When the row became visible',
    ingest_id UUID comment 'Rows with the same one are one row written twice (R5)',
    index inserted inserted_at type minmax granularity 1,
    index received received_at type minmax granularity 1
)
engine = MergeTree
partition by toYYYYMM(action_at)
primary key (customer_id, api_name, action_id)
order by (customer_id, api_name, action_id, received_at, ingest_id)
settings fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
comment 'Conversions received, as they came'
