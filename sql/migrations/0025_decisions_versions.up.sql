-- What was decided about each conversion received, by day and version: its outcome (R6), and the variations that get the
-- credit (R4). The views conversion_outcomes and attributions both read it, so they can't disagree. For partitions and merges
-- see sessions_versions.
create table if not exists decisions_versions
(
    customer_id String comment 'Account',
    day Date comment 'UTC day of the conversion',
    event_id String comment 'Event that bore the name then, empty where none did',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'Who converted',
    converted_at DateTime64(3, 'UTC') comment 'When',
    value Nullable(Decimal(18, 4)) comment 'Monetary value as received, if any',
    credited_value Nullable(Decimal(18, 4)) comment 'Monetary value that counts: as received, or as restated (R10)',
    received_at DateTime64(3, 'UTC') comment 'When this copy was received',
    ingest_id UUID comment 'This copy',
    outcome LowCardinality(String) comment 'What became of it',
    `credits.optimization_id` Array(String) comment 'Optimizations for which a view gets the credit',
    `credits.variation_id` Array(String) comment 'Of each, the variation that was seen',
    `credits.visitor_id` Array(String) comment 'Of each, the browser that saw it',
    `credits.session_started_at` Array(Nullable(DateTime64(3, 'UTC'))) comment 'Of each, the start of the session open at the conversion; NULL under a window of days',
    `credits.viewed_at` Array(DateTime64(3, 'UTC')) comment 'Of each, the view that won',
    version UInt64 comment 'Version of the day'
)
engine = MergeTree
partition by (day, version)
order by (customer_id, api_name, action_id, received_at, ingest_id)
settings fsync_after_insert = 1, min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600,
    min_age_to_force_merge_on_partition_only = 1
comment 'Decisions about conversions by day and version'
