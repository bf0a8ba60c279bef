-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
-- Lives:      shards
create or replace view exposures
(
    customer_id LowCardinality(String) comment 'Account',
    optimization_id LowCardinality(String) comment 'Optimization',
    variation_id LowCardinality(String) comment 'Variation that was seen',
    visitor_id String comment 'Browser that saw it',
    day Date comment 'UTC day of the views (R7)',
    first_viewed_at DateTime64(3, 'UTC') comment 'First view of that day',
    views UInt32 comment 'Views of that day'
)
definer = current_user sql security definer
comment 'Whom a variation was shown to, by day (R9), as last published'
as select customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, views
from exposures_versions
where (day, version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'exposures_versions' group by published_days.day)
