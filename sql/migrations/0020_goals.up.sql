-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view goals
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    event_id String comment 'Event that counts for it',
    is_primary UInt8 comment '1 for the one it is optimized for',
    mde_percent Float64 comment 'The smallest lift worth finding, in per cent (R11)'
)
definer = current_user sql security definer
comment 'Events that count for an optimization'
as select customer_id, optimization_id, event_id, is_primary, mde_percent
from
(
    select customer_id, optimization_id, event_id, is_primary, mde_percent, is_deleted
    from catalog_goals
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id, optimization_id, event_id
)
where is_deleted = 0
