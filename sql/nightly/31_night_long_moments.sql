-- Purpose:    Prepare the stretches that reach the cap: from each moment, the first one that a session starting
--             there cannot hold (R1).
-- Reads:      sessions_versions, client_events, night_doubles, night_days
-- Writes:     night_long_moments
-- Grain:      one row per (stretch, moment)
-- Parameters: full, whole_from, whole_to, cutoff, doubled, version, session_cap_hours, long_day
-- Notes:      The cap is greedy: where a session starts depends on where the one before it did. With the next one
--             known from everywhere, following them is a look-up each.
insert into night_long_moments (customer_id, visitor_id, stretch_at, at, events, views, next_at)
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
    ),
    long_moments as
    (
        select
            moments.customer_id as customer_id,
            moments.visitor_id as visitor_id,
            long_stretches.first_at as stretch_at,
            moments.occurred_at as at,
            count() as events,
            countIf(moments.is_view) as views
        from moments
        inner join long_stretches
            on moments.customer_id = long_stretches.customer_id
            and moments.visitor_id = long_stretches.visitor_id
        where moments.occurred_at between long_stretches.first_at and long_stretches.last_at
        group by customer_id, visitor_id, stretch_at, at
    )
select
    long_moments.customer_id,
    long_moments.visitor_id,
    long_moments.stretch_at,
    long_moments.at,
    long_moments.events,
    long_moments.views,
    later.at
from long_moments
asof left join long_moments as later
    on long_moments.customer_id = later.customer_id
    and long_moments.visitor_id = later.visitor_id
    and long_moments.stretch_at = later.stretch_at
    and long_moments.at + toIntervalHour({session_cap_hours:UInt32}) <= later.at
