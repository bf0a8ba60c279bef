-- Purpose:    Delete the person's conversions, for good.
-- Reads:      erased_users
-- Parameters: none
alter table conversions delete
where (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users)
settings mutations_sync = 2
