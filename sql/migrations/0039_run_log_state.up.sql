-- What the next run must know of the last one, to find what has changed since.
alter table run_log
    add column if not exists mode LowCardinality(String) comment 'full, incremental or range',
    add column if not exists read_at Nullable(DateTime64(3, 'UTC')) comment 'Rows that were visible before it, on the clock of ClickHouse, have been read',
    add column if not exists epoch String comment 'Changes when raw rows were deleted or altered'
