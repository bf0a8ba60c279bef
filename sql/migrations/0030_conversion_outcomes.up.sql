-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view conversion_outcomes
(
    customer_id String comment 'Account',
    conversion_day Date comment 'UTC day of the conversion (R7)',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    converted_at DateTime64(3, 'UTC') comment 'When it happened',
    received_at DateTime64(3, 'UTC') comment 'When this copy was received',
    ingest_id UUID comment 'This copy',
    outcome LowCardinality(String) comment 'What became of it (R6)',
    event_id String comment 'Event that bore the name then (R3), empty where none did',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'Who converted',
    value Nullable(Decimal(18, 4)) comment 'Monetary value as received, if any'
)
definer = current_user sql security definer
comment 'What became of every conversion received (R6), as last published'
as select
    customer_id, day as conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome,
    event_id, user_domain, user_id, value
from decisions_versions
where (day, version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'decisions_versions' group by published_days.day)
