-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view attributions
(
    customer_id String comment 'Account',
    conversion_day Date comment 'UTC day of the conversion (R7)',
    event_id String comment 'Event that bore the name then (R3)',
    api_name String comment 'Name as sent',
    action_id String comment 'The id of the conversion given by the sender',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'Who converted',
    converted_at DateTime64(3, 'UTC') comment 'When',
    value Nullable(Decimal(18, 4)) comment 'Monetary value, if any: as received, or as restated (R10)',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation that the conversion is attributed to (R4)',
    visitor_id String comment 'Browser that saw it',
    session_started_at Nullable(DateTime64(3, 'UTC')) comment 'Start of the session open at the conversion; NULL under a window of days',
    viewed_at DateTime64(3, 'UTC') comment 'The view that won',
    ingest_id UUID comment 'The copy of the conversion that counts (R5)'
)
definer = current_user sql security definer
comment 'Which variation a conversion is attributed to (R4), as last published'
as select
    customer_id, day as conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, credited_value as value,
    optimization_id, variation_id, visitor_id, session_started_at, viewed_at, ingest_id
from decisions_versions
array join
    credits.optimization_id as optimization_id,
    credits.variation_id as variation_id,
    credits.visitor_id as visitor_id,
    credits.session_started_at as session_started_at,
    credits.viewed_at as viewed_at
where (day, version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'decisions_versions' group by published_days.day)
