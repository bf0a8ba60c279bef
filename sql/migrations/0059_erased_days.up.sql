-- The visitor-days that an erasure deletes client events of.
-- Lives:      home, read by shards
create table if not exists erased_days
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    day Date comment 'UTC day',
    rows UInt64 comment 'Client events that go',
    links UInt64 comment 'Of them, identifies'
)
engine = Memory
comment 'Visitor-days that are being erased: working table'
