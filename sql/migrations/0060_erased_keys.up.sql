-- The conversions that an erasure deletes, and those that it may let decide otherwise.
create table if not exists erased_keys
(
    customer_id String comment 'Account',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    day Date comment 'UTC day of the conversion',
    rows UInt64 comment 'Conversions that go',
    is_deleted UInt8 comment '1 where they go, 0 where they are decided again'
)
engine = Memory
comment 'Conversions that an erasure concerns: working table'
