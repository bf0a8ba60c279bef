-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view optimizations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    name String comment 'What people call it',
    planned_visitors UInt64 comment 'How many visitors are planned to be compared (R11)'
)
definer = current_user sql security definer
comment 'A/B tests and personalizations'
as select customer_id, optimization_id, name, planned_visitors
from
(
    select customer_id, optimization_id, name, planned_visitors, is_deleted
    from catalog_optimizations
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id, optimization_id
)
where is_deleted = 0
