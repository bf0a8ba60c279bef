-- Why each day was computed.
create table if not exists run_days
(
    run_id String comment 'Run',
    customer_id String comment 'Account, empty for all',
    day Date comment 'Day that it computed again',
    cause LowCardinality(String) comment 'client_event, conversion, identity, event_name, rule, adjustment, erasure, rerun or full',
    items UInt64 comment 'Visitors or conversions concerned',
    cutoff DateTime64(3, 'UTC') comment 'Cutoff of the run'
)
engine = MergeTree
order by (run_id, day, customer_id, cause)
comment 'Days that runs computed again, and why'
