-- The attributions of the conversions computed anew.
create table if not exists night_attributions
(
    customer_id String,
    conversion_day Date,
    event_id String,
    api_name String,
    action_id String,
    user_domain String,
    user_id String,
    converted_at DateTime64(3, 'UTC'),
    value Nullable(Decimal(18, 4)),
    optimization_id String,
    variation_id String,
    visitor_id String,
    session_started_at DateTime64(3, 'UTC'),
    viewed_at DateTime64(3, 'UTC'),
    ingest_id UUID
)
engine = MergeTree
order by conversion_day
