-- Purpose:    List the client events of the stretches that reach the cap (R1).
-- Reads:      sessions_versions, client_events, night_doubles, night_days
-- Writes:     night_long_moments
-- Grain:      one row per client event
-- Parameters: full, whole_from, whole_to, cutoff, doubled, version, long_day
-- Notes:      In the order of stretch and moment 32 finds what it looks for without a pass over all. Rows stream
--             through: a visitor with millions of them costs no memory.
insert into night_long_moments (customer_id, visitor_id, stretch_at, at, is_view)
with
    long_stretches as
    (
        select customer_id, visitor_id, started_at as first_at, last_event_at as last_at
        from sessions_versions
        where session_day = {long_day:Date} and version = {version:UInt64}
    ),
    moments as
    (
        select customer_id, visitor_id, occurred_at, type = 'view' as is_view
        from client_events
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and (customer_id, visitor_id) in (select customer_id, visitor_id from long_stretches)
            and
            (
                {full:UInt8} = 1
                or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            )
            and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
        union all
        select customer_id, visitor_id, occurred_at, type = 'view' as is_view
        from night_doubles
        where
            (
                {full:UInt8} = 1
                or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            )
            and (customer_id, visitor_id) in (select customer_id, visitor_id from long_stretches)
    )
select
    moments.customer_id,
    moments.visitor_id,
    long_stretches.first_at,
    moments.occurred_at,
    moments.is_view
from moments
asof inner join long_stretches
    on moments.customer_id = long_stretches.customer_id
    and moments.visitor_id = long_stretches.visitor_id
    and moments.occurred_at >= long_stretches.first_at
where moments.occurred_at <= long_stretches.last_at
