create view if not exists goals
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    event_id String comment 'Event that counts for it',
    is_primary UInt8 comment '1 for the one it is optimized for'
)
as select customer_id, optimization_id, event_id, is_primary
from catalog_goals final
where is_deleted = 0
