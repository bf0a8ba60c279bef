-- Purpose:    Delete the client events of the person, for good: parts are written again without them.
-- Reads:      erased_visitors
-- Runs:       shards
-- Parameters: none
-- Notes:      A month at a time, of those that have some, which comes after "delete". Identifies go last, in a statement of their own: until
--             then an erasure that was cut off finds the same visitors when it is begun again. No id is written: ClickHouse keeps the texts of such
--             statements.
alter table client_events delete %s
where type != 'identify'
    and (customer_id, visitor_id) in (select customer_id, visitor_id from erased_visitors where is_whole = 1)
settings mutations_sync = 2
