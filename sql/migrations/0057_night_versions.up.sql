-- The version of each day, as it will be published and as it was.
create table if not exists night_versions
(
    day Date,
    events_version UInt64,
    conversions_version UInt64,
    old_events_version UInt64,
    old_conversions_version UInt64,
    events_staged UInt8,
    conversions_staged UInt8
)
engine = MergeTree
order by day
