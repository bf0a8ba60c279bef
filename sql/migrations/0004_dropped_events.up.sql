-- Client events that a running service did not store, by account and reason: doctor and the page show them.
create table if not exists dropped_events
(
    at DateTime64(3, 'UTC') comment 'End of the minute',
    host String comment 'Machine that the service runs on',
    customer_id String comment 'Account, or (others) beyond the first 500 of a service',
    reason LowCardinality(String) comment 'too_old, placeholder, unreadable, unknown_type, bad_time, or the code of the first fault',
    events UInt64 comment 'How many in that minute'
)
engine = MergeTree
order by (customer_id, at)
ttl toDateTime(at) + toIntervalDay(90)
comment 'Client events of browsers that were not stored, by reason'
