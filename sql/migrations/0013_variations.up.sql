create view if not exists variations
(
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation',
    name String comment 'What people call it',
    is_baseline UInt8 comment '1 for the one that the others are compared with',
    weight Float64 comment 'Share of the traffic, relative to the other weights',
    position UInt32 comment 'Order of display'
)
as select customer_id, optimization_id, variation_id, name, is_baseline, weight, position
from catalog_variations final
where is_deleted = 0
