-- Figures of days that had been published before and that a run changed.
create table if not exists run_changes
(
    run_id String comment 'Run',
    customer_id String comment 'Account',
    day Date comment 'Day that had been published before',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation',
    event_id String comment 'Event, empty for the visitors exposed',
    visitors_before UInt64 comment 'Distinct visitors exposed',
    visitors_after UInt64 comment 'Distinct visitors exposed',
    conversions_before UInt64 comment 'Attributed conversions',
    conversions_after UInt64 comment 'Attributed conversions',
    value_before Decimal(38, 4) comment 'Their value',
    value_after Decimal(38, 4) comment 'Their value',
    causes Array(String) comment 'Why that account-day was computed again'
)
engine = MergeTree
order by (run_id, customer_id, day, optimization_id, variation_id, event_id)
comment 'What runs changed of figures that had been published before'
