-- The locks of a ClickHouse without Keeper: a table each. With Keeper they are rows of keeper_locks.
create or replace view lock_tables
(
    name String comment 'lock_, what it is of, and its generation'
)
comment 'Locks that runs, migrations and changes of the catalog have taken'
as select name from system.tables where database = currentDatabase() and startsWith(name, 'lock_')
