-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view event_rules
(
    customer_id String comment 'Account',
    event_id String comment 'Event',
    window_days UInt16 comment 'How many days before a conversion views count, 0 for the open session (R4)',
    credit Enum8('last' = 0, 'first' = 1) comment 'Which of them gets the credit (R4)',
    valid_from DateTime64(3, 'UTC') comment 'From then on, inclusive',
    valid_to Nullable(DateTime64(3, 'UTC')) comment 'Until then, exclusive; NULL while it holds'
)
definer = current_user sql security definer
comment 'Attribution rules of events other than session, last, and when they hold (R3)'
as select customer_id, event_id, window_days, credit, valid_from, valid_to
from
(
    select customer_id, event_id, window_days, credit, valid_from, valid_to, is_deleted
    from catalog_event_rules
    where version in (select catalog_changes.version from catalog_changes)
    order by version desc
    limit 1 by customer_id, event_id, valid_from
)
where is_deleted = 0
    and (window_days, credit) != (0, 'last')
    and (valid_to is null or valid_to > valid_from)
