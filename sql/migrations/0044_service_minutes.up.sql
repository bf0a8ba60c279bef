-- What a running service did, a row a minute: dashboards and alerts read it.
create table if not exists service_minutes
(
    at DateTime64(3, 'UTC') comment 'End of the minute',
    host String comment 'Machine that the service runs on',
    service String comment 'Id of its spool, which a data folder keeps',
    conversions UInt64 comment 'Conversions accepted in that minute',
    client_events UInt64 comment 'Client events accepted',
    rejected UInt64 comment 'Requests and events refused',
    dropped UInt64 comment 'Client events dropped: bad, or older than 7 days',
    inserted_rows UInt64 comment 'Rows inserted into ClickHouse',
    insert_batches UInt64 comment 'Inserts',
    insert_retries UInt64 comment 'Inserts that failed and were tried again',
    dead_letters UInt64 comment 'Rows put aside, since ClickHouse refuses them',
    spool_bytes UInt64 comment 'Bytes that wait in the spool, at the end',
    spool_oldest_seconds Float64 comment 'For how long the oldest event has waited, at the end',
    durable_seconds Float64 comment 'Mean time until accepted events were on disk, 0 where none were',
    active_parts UInt64 comment 'Parts of the tables, at the end',
    bytes_on_disk UInt64 comment 'Their size'
)
engine = MergeTree
order by at
ttl toDateTime(at) + toIntervalDay(90)
comment 'The ingest service, minute by minute'
