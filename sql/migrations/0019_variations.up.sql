-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view variations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation',
    name String comment 'What people call it',
    is_baseline UInt8 comment '1 for the one that the others are compared with',
    weight Float64 comment 'Share of the traffic, relative to the other weights',
    position UInt32 comment 'Order of display'
)
definer = current_user sql security definer
comment 'Versions that an optimization shows'
as select customer_id, optimization_id, variation_id, name, is_baseline, weight, position
from
(
    select customer_id, optimization_id, variation_id, name, is_baseline, weight, position, is_deleted
    from catalog_variations
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id, optimization_id, variation_id
)
where is_deleted = 0
