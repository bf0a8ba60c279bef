-- The version of each table's days, as it will be published and as it was.
create table if not exists night_versions
(
    table_name LowCardinality(String) comment 'sessions, exposures, attributions or conversion_outcomes',
    day Date,
    version UInt64 comment 'Of this run where the day is staged',
    old_version UInt64 comment '0 where nothing is published'
)
engine = MergeTree
order by (table_name, day)
