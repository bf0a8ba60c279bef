-- Purpose:    Delete the adjustments of the person's conversions, for good: of keys that nobody else has a conversion under.
-- Reads:      erased_keys, erased_users, conversions
-- Parameters: none
-- Notes:      Before the conversions, by which an erasure that was cut off finds them.
alter table adjustments delete
where (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from erased_keys where is_deleted = 1)
    and (customer_id, api_name, action_id) not in
    (
        select customer_id, api_name, action_id
        from conversions
        where action_id in (select action_id from erased_keys)
            and (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from erased_users)
    )
settings mutations_sync = 2
