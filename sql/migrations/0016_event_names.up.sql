-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view event_names
(
    customer_id String comment 'Account',
    event_id String comment 'Event; renaming keeps it',
    api_name String comment 'Name that it bore',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it bears it'
)
definer = current_user sql security definer
comment 'Names that events bore, and when (R3)'
as select customer_id, event_id, api_name, valid_from, valid_to
from
(
    select customer_id, event_id, api_name, valid_from, valid_to, is_deleted
    from catalog_event_names
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id, event_id, api_name, valid_from
)
where is_deleted = 0
