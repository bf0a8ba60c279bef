-- Every adjustment received, as it came: those of a conversion lie next to each other (R10).
create table if not exists adjustments
(
    customer_id String comment 'Account',
    api_name String comment 'Name that the conversion was sent under',
    action_id String comment 'The id of the conversion given by the sender',
    kind Enum8('restate' = 1, 'retract' = 2) comment 'Whether it gives the conversion another value, or takes it back',
    value Nullable(Decimal(18, 4)) comment 'The value from then on; NULL to retract',
    adjusted_at DateTime64(3, 'UTC') comment 'Since when the sender means it; of several the last counts',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received it',
    inserted_at DateTime64(3, 'UTC') default now64(3, 'UTC') comment 'When the row became visible',
    ingest_id UUID comment 'Rows with the same one are one row written twice',
    index inserted inserted_at type minmax granularity 1,
    index received received_at type minmax granularity 1
)
engine = MergeTree
partition by toYYYYMM(adjusted_at)
primary key (customer_id, api_name, action_id)
order by (customer_id, api_name, action_id, adjusted_at, received_at, ingest_id)
settings fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
comment 'Adjustments of conversions received, as they came'
