-- Working set of an import: the keys of a batch's conversions, which are looked for among those that are there.
create table if not exists import_keys
(
    batch_id UUID comment 'Batch of an import',
    place UInt32 comment 'Row of the batch',
    customer_id String comment 'Account',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender'
)
engine = MergeTree
partition by batch_id
order by (customer_id, api_name, action_id)
ttl toDateTime(UUIDv7ToDateTime(batch_id)) + toIntervalDay(1)
comment 'Keys that an import looks up: working table'
