-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
-- Lives:      shards
create or replace view entries
(
    customer_id LowCardinality(String) comment 'Account',
    optimization_id LowCardinality(String) comment 'Optimization',
    visitor_id String comment 'Browser',
    variation_id LowCardinality(String) comment 'Variation that it entered with and belongs to for good',
    entered_at DateTime64(3, 'UTC') comment 'Its first view of any variation',
    attributes Map(LowCardinality(String), String) comment 'Attributes of that view',
    day Date comment 'UTC day on which it entered',
    saw_another UInt8 comment '1 where it saw another variation, too, at any time'
)
definer = current_user sql security definer
comment 'Who entered an optimization, when, and with which variation (R11), as last published'
as select
    customer_id, optimization_id, visitor_id, variation_id, first_viewed_at as entered_at, attributes, day,
    entry_key in
    (
        select entry_key
        from entries_versions
        where is_entry = 0
            and (day, version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'entries_versions' group by published_days.day)
    ) as saw_another
from entries_versions
where is_entry = 1
    and (day, version) in (select published_days.day, max(published_days.version) from published_days where table_name = 'entries_versions' group by published_days.day)
