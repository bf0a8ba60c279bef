create view if not exists optimizations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    name String comment 'What people call it'
)
as select customer_id, optimization_id, name
from catalog_optimizations final
