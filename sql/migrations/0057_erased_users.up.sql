-- Who is being erased. These four tables are in memory only, so that no file has the ids: what deletes rows names them by these.
-- Lives:      home, read by shards
create table if not exists erased_users
(
    customer_id String comment 'Account',
    user_domain String comment 'System that the user id is from',
    user_id String comment 'User within that system'
)
engine = Memory
comment 'User ids that are being erased: working table'
