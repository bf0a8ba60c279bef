-- The visitors that an erasure concerns.
-- Lives:      home, read by shards
create table if not exists erased_visitors
(
    customer_id String comment 'Account',
    visitor_id String comment 'Browser',
    is_whole UInt8 comment '1 where all its events go, 0 where it is somebody else, too, and only the link goes'
)
engine = Memory
comment 'Visitors that are being erased: working table'
