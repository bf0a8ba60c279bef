-- The attribution rules as a run read them: the next one compares.
create table if not exists run_rules
(
    customer_id String comment 'Account',
    event_id String comment 'Event',
    window_days UInt16 comment 'How many days before a conversion views count, 0 for the open session',
    credit Enum8('last' = 0, 'first' = 1) comment 'Which of them gets the credit',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it holds',
    version UInt64 comment 'Version of the run'
)
engine = MergeTree
partition by version
order by (customer_id, event_id, valid_from)
settings fsync_after_insert = 1
comment 'Attribution rules as runs read them'
