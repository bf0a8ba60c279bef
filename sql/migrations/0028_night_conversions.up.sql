-- Working set of a run: each conversion once, whether it counts, and the event that bore its name.
create table if not exists night_conversions
(
    customer_id String,
    event_id String comment 'Empty when no event bore the name (R3)',
    api_name String,
    action_id String,
    user_domain String,
    user_id String,
    converted_at DateTime64(3, 'UTC'),
    value Nullable(Decimal(18, 4)),
    received_at DateTime64(3, 'UTC'),
    ingest_id UUID,
    is_duplicate UInt8
)
engine = MergeTree
order by (customer_id, user_domain, user_id, converted_at)
