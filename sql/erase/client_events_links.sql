-- Purpose:    Delete the identifies of the person, for good.
-- Reads:      erased_visitors, erased_users
-- Runs:       shards
-- Parameters: none
-- Notes:      See client_events.
alter table client_events delete %s
where type = 'identify'
    and ((customer_id, visitor_id) in (select customer_id, visitor_id from erased_visitors where is_whole = 1)
        or (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users))
settings mutations_sync = 2
