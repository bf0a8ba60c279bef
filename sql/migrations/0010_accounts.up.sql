create view if not exists accounts
(
    customer_id String comment 'Account',
    origins Array(String) comment 'Origins that its browsers may send from; none means any',
    created_at DateTime64(3, 'UTC') comment 'When it was added'
)
as select customer_id, origins, created_at
from catalog_accounts final
