-- Every client event received, as it came. In the order of the table the copies of an event lie next to each other, the one
-- that counts first (R5): a step that looks back one row drops the others. The key is shorter than the order, to stay small.
-- Read by day (the night), by visitor within a day (explain), by inserted_at (what is new).
-- Lives:      shards
create table if not exists client_events
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser, anonymous',
    type Enum8('activity' = 1, 'identify' = 2, 'view' = 3) comment 'view, identify or activity',
    optimization_id String comment 'Of a view, else empty',
    variation_id String comment 'Of a view, else empty',
    attributes Map(LowCardinality(String), String) comment 'Of a view: what the page said of the visitor, in the order of the names',
    user_domain String comment 'Of an identify, else empty',
    user_id String comment 'Of an identify, else empty',
    occurred_at DateTime64(3, 'UTC') comment 'When it happened, corrected for the browser clock',
    received_at DateTime64(3, 'UTC') comment 'When the ingest service received it',
    inserted_at DateTime64(3, 'UTC') default now64(3, 'UTC') comment 'When the row became visible',
    ingest_id UUID comment 'Rows with the same one, visitor and moment are one event (R5)',
    index inserted inserted_at type minmax granularity 1,
    index received received_at type minmax granularity 1
)
engine = MergeTree
partition by toYYYYMM(occurred_at)
primary key (toDate(occurred_at), customer_id, visitor_id, occurred_at)
order by (toDate(occurred_at), customer_id, visitor_id, occurred_at, ingest_id, received_at, type)
settings fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000
comment 'Client events received, as they came'
