-- The visitors that each conversion may be attributed to, and from when on their views count.
create table if not exists night_candidates
(
    conversion UInt64 comment 'The conversion, by its number in night_conversions',
    customer_id String comment 'Account',
    visitor_id String comment 'Browser linked in time (R2)',
    converted_at DateTime64(3, 'UTC') comment 'When it converted: views before then count',
    window_days UInt16 comment 'As of the conversion',
    credit Enum8('last' = 0, 'first' = 1) comment 'As of the conversion',
    views_from Nullable(DateTime64(3, 'UTC')) comment 'Views since then count: the start of the session that was open, or of the window (R4); NULL where none was',
    session_started_at Nullable(DateTime64(3, 'UTC')) comment 'Start of that session; NULL under a window of days',
    place_before Int64 comment 'The view with the largest place below that gets the credit, see night_views'
)
engine = MergeTree
order by (customer_id, visitor_id, converted_at)
comment 'Who a conversion may be attributed to: working table of the night'
