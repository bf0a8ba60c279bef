-- Purpose:    Whether a day that was staged has copies of client events (R5).
-- Reads:      client_events, sessions_versions
-- Runs:       shards
-- Grain:      one row
-- Parameters: day, version, cutoff
-- Notes:      Then its sessions hold fewer events than were received. An event that became visible meanwhile has the same effect.
select
    (
        select count()
        from client_events
        where toDate(occurred_at) = {day:Date} and received_at < {cutoff:DateTime64(3, 'UTC')}
    )
    != (select sum(events) from sessions_versions where day = {day:Date} and version = {version:UInt64}) as has_copies
