-- Working set of a run: the visitors that each conversion may be attributed to (R2), and their open session.
create table if not exists night_candidates
(
    ingest_id UUID,
    customer_id String,
    visitor_id String,
    converted_at DateTime64(3, 'UTC'),
    session_started_at Nullable(DateTime64(3, 'UTC'))
)
engine = MergeTree
order by (customer_id, visitor_id, converted_at)
