-- Purpose:    Stage the sessions of one day (R1), out of its events and the sessions that were open when it began.
-- Reads:      night_events, sessions_versions, night_visitor_days
-- Writes:     sessions_versions
-- Runs:       shards
-- Grain:      one row per session and day: its part of that day
-- Parameters: day, whole, cutoff, version, version_of_day, version_before, session_gap_minutes, session_cap_hours,
--             slice_first_customer, slice_first_visitor, slice_end_customer, slice_end_visitor, slice_last
-- Notes:      A session lasts 24 hours at most, so on one day the cap can only cut the session that came over midnight.
--             The events are read in the order of the table, a visitor at a time. Only those at which something may begin or
--             end are carried further, a quarter; the others are counted by the positions of these.
insert into sessions_versions
    (customer_id, visitor_id, day, started_at, last_event_at, expires_at, events, views, version)
with
    toIntervalMinute({session_gap_minutes:UInt32}) as gap,
    toIntervalHour({session_cap_hours:UInt32}) as cap,
    open_at_midnight as
    (
        select customer_id, visitor_id, started_at, expires_at
        from sessions_versions
        where day = {day:Date} - 1
            and sessions_versions.version = {version_before:UInt64}
            and expires_at > toDateTime64({day:Date}, 3, 'UTC')
    ),
    -- Each event, with the one before and the one after it, which is in 1970 where there is none.
    neighbours_seen as
    (
        select
            customer_id,
            visitor_id,
            occurred_at,
            type = 'view' as is_view,
            row_number() over visitor as position,
            -- The window reaches one event further than what is counted.
            sum(is_view) over visitor - leadInFrame(is_view) over visitor as views_so_far,
            lagInFrame(occurred_at) over visitor as occurred_before,
            leadInFrame(occurred_at) over visitor as occurred_after,
            ingest_id,
            lagInFrame(ingest_id) over visitor as id_before
        from night_events
        (
            day = {day:Date},
            whole = {whole:UInt8},
            cutoff = {cutoff:DateTime64(3, 'UTC')},
            slice_first_customer = {slice_first_customer:String},
            slice_first_visitor = {slice_first_visitor:String},
            slice_end_customer = {slice_end_customer:String},
            slice_end_visitor = {slice_end_visitor:String},
            slice_last = {slice_last:UInt8}
        )
        window visitor as
        (
            partition by customer_id, visitor_id
            order by occurred_at, ingest_id, received_at, type
            rows between unbounded preceding and 1 following
        )
    ),
    -- The first and the last event, those around a gap, copies, and those around the cap of an open session: they lie less than a gap
    -- before or after it, so in one of three intervals of that length. An event too many does no harm.
    edges as
    (
        select
            *,
            occurred_at = occurred_before and ingest_id = id_before as is_copy,
            occurred_at >= occurred_before + gap as after_gap
        from neighbours_seen
        where after_gap
            or is_copy
            or occurred_after >= occurred_at + gap
            or occurred_after < occurred_at
            or cityHash64(customer_id, visitor_id, toStartOfInterval(occurred_at, gap)) in
            (
                select cityHash64(
                    customer_id,
                    visitor_id,
                    toStartOfInterval(started_at + cap + arrayJoin([-1, 0, 1]) * {session_gap_minutes:UInt32} * 60, gap)
                )
                from open_at_midnight
            )
    ),
    -- The first event has a gap before it, since 1970.
    runs_numbered as
    (
        select
            *,
            sum(after_gap) over visitor as run,
            min(occurred_at) over visitor as first_at
        from edges
        window visitor as (partition by customer_id, visitor_id order by occurred_at range between unbounded preceding and current row)
    ),
    -- A visitor's first run goes on with the open session, until its cap. Without one it expired in 1970.
    caps_marked as
    (
        select
            runs_numbered.*,
            open_at_midnight.started_at as open_since,
            run = 1 and first_at < open_at_midnight.expires_at as goes_on,
            goes_on and occurred_at >= open_since + cap as after_cap
        from runs_numbered
        left join open_at_midnight
            on runs_numbered.customer_id = open_at_midnight.customer_id
            and runs_numbered.visitor_id = open_at_midnight.visitor_id
    )
select
    customer_id,
    visitor_id,
    {day:Date},
    if(any(goes_on) and not after_cap, any(open_since), min(occurred_at)) as begun_at,
    max(occurred_at) as ended_at,
    least(ended_at + gap, begun_at + cap),
    max(position) - min(position) + 1 - sum(is_copy),
    max(views_so_far) - min(views_so_far - is_view) - sum(is_copy and is_view),
    {version:UInt64}
from caps_marked
group by customer_id, visitor_id, run, after_cap
union all
-- The other visitors of a day that is not computed whole.
select customer_id, visitor_id, day, started_at, last_event_at, expires_at, events, views, {version:UInt64}
from sessions_versions
where {whole:UInt8} = 0
    and {slice_last:UInt8} = 1
    and day = {day:Date}
    and sessions_versions.version = {version_of_day:UInt64}
    and (customer_id, visitor_id) not in (select customer_id, visitor_id from night_visitor_days where day = {day:Date})
settings max_threads = 1, optimize_read_in_window_order = 1
