-- Purpose:    Delete the client events of the person, for good: parts are written again without them.
-- Reads:      erased_visitors, erased_users
-- Parameters: none
-- Notes:      A month at a time, of those that have some: the statement ends with where they are. No id is written: ClickHouse keeps the texts of such
--             statements.
alter table client_events delete %s
where (customer_id, visitor_id) in (select customer_id, visitor_id from erased_visitors where is_whole = 1)
    or type = 'identify' and (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users)
settings mutations_sync = 2
