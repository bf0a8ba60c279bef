-- The conversions to decide, each row received once.
create table if not exists night_conversions
(
    conversion UInt64 comment 'Number within the run',
    customer_id String comment 'Account',
    event_id String comment 'Event that bore the name then (R3), empty where none did',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'Who converted',
    converted_at DateTime64(3, 'UTC') comment 'When',
    value Nullable(Decimal(18, 4)) comment 'Monetary value as received, if any',
    credited_value Nullable(Decimal(18, 4)) comment 'Monetary value that counts: as received, or as restated (R10)',
    received_at DateTime64(3, 'UTC') comment 'When this copy was received',
    ingest_id UUID comment 'This copy',
    window_days UInt16 comment 'How many days before it views count, 0 for the open session (R3)',
    credit Enum8('last' = 0, 'first' = 1) comment 'Which of them gets the credit (R3)',
    is_duplicate UInt8 comment '1 where another copy of the key counts (R5)',
    is_retracted UInt8 comment '1 where it was taken back (R10)'
)
engine = MergeTree
order by (customer_id, user_domain, user_id, converted_at)
comment 'Conversions to decide: working table of the night'
