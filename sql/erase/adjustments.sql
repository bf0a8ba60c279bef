-- Purpose:    Delete the adjustments of the person's conversions, for good: of keys under which no conversion is left.
-- Reads:      erased_keys, conversions
-- Parameters: none
alter table adjustments delete
where (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from erased_keys where is_deleted = 1)
    and (customer_id, api_name, action_id) not in (select customer_id, api_name, action_id from conversions)
settings mutations_sync = 2
