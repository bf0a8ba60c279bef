-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view accounts
(
    customer_id String comment 'Account',
    origins Array(String) comment 'Origins that its browsers may send from; none means any',
    created_at DateTime64(3, 'UTC') comment 'When it was added'
)
definer = current_user sql security definer
comment 'Accounts that are configured'
as select customer_id, origins, created_at
from
(
    select customer_id, origins, created_at, is_deleted
    from catalog_accounts
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id
)
where is_deleted = 0
