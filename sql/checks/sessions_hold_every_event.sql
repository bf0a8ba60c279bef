-- Purpose:    Whether every client event of the visitor-days computed anew is in one staged session (R1).
-- Reads:      client_events, night_doubles, night_days, sessions_versions
-- Parameters: full, whole_from, whole_to, cutoff, doubled, version
-- Notes:      Before sessions of other visitors are carried over. It counts what 30_sessions reads: should
--             anything empty the working set meanwhile, the two differ.
with
    (
        select count()
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and ({full:UInt8} = 1 or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date})
            and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
    )
    +
    (
        select count()
        from client_events
        where {full:UInt8} = 0
            and toDate(occurred_at) not between {whole_from:Date} and {whole_to:Date}
            and visitor_id in (select visitor_id from night_days)
            and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            and received_at < {cutoff:DateTime64(3, 'UTC')}
            and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
    )
    +
    (
        select count()
        from night_doubles
        where {full:UInt8} = 1
            or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
            or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
    ) as received,
    (select sum(events) from sessions_versions where version = {version:UInt64}) as in_sessions
select received, in_sessions
where received != in_sessions
