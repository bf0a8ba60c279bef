-- Which attribution rule an event had from when to when (R3). Without one it is session, last.
create table if not exists catalog_event_rules
(
    customer_id String comment 'Account',
    event_id String comment 'Event',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it holds',
    window_days UInt16 comment 'How many days before a conversion views count, 0 for the open session',
    credit Enum8('last' = 0, 'first' = 1) comment 'Which of them gets the credit',
    is_deleted UInt8 comment '1 where another rule took its place',
    version UInt64 comment 'Change that wrote the row; the highest of a key counts'
)
engine = MergeTree
order by (customer_id, event_id, valid_from, version)
settings fsync_after_insert = 1
comment 'Attribution rules of events, by version'
