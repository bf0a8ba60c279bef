-- Who saw which variation, by version of the day. Texts that repeat are kept as numbers into a dictionary: sorting
-- and writing the exposures of a night takes half as long. A key's type can't be altered, so the table is made anew
-- of its own rows, in one statement: killed half way, it leaves the old one.
create or replace table exposures_versions
(
    customer_id LowCardinality(String),
    optimization_id LowCardinality(String),
    variation_id LowCardinality(String),
    visitor_id String,
    day Date,
    first_viewed_at DateTime64(3, 'UTC'),
    views UInt32,
    version UInt64,
    last_viewed_at DateTime64(3, 'UTC') comment 'Last view of the day'
)
engine = MergeTree
partition by (day, version)
order by (customer_id, optimization_id, variation_id)
settings fsync_after_insert = 1
as select customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, views, version, last_viewed_at
from exposures_versions
settings max_partitions_per_insert_block = 0
