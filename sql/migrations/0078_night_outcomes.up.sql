-- The outcomes of the conversions computed anew.
create table if not exists night_outcomes
(
    customer_id String,
    conversion_day Date,
    api_name String,
    action_id String,
    converted_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    ingest_id UUID,
    outcome LowCardinality(String)
)
engine = MergeTree
order by conversion_day
