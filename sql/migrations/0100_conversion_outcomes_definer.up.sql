-- Read with the rights of who made it, so that analysts need none on what is below it.
create or replace view conversion_outcomes
(
    customer_id String comment 'Account',
    conversion_day Date comment 'UTC day of the conversion (R7)',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    converted_at DateTime64(3, 'UTC') comment 'When it happened',
    received_at DateTime64(3, 'UTC') comment 'When this copy was received',
    ingest_id UUID comment 'This copy',
    outcome LowCardinality(String) comment 'What became of it (R6)'
)
definer = current_user sql security definer
comment 'What became of every conversion received (R6), as last published'
as select customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome
from conversion_outcomes_versions
where (conversion_day, version) in (select day, argMax(outcomes_version, published_days.version) from published_days group by day)
