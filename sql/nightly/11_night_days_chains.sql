-- Purpose:    Draw in the days that a chain of sessions connects with those listed.
-- Reads:      night_days, sessions_versions, published_days
-- Writes:     night_days
-- Grain:      one row per visitor-day that was not listed
-- Parameters: whole_from, whole_to, hop
-- Notes:      A chain is a run of events without a gap; where its sessions begin depends on its first event
--             (R1), so it is computed whole. So are the chains that lead out of the days computed whole. A session
--             knows where its chain began: the days before and those after are found by that. Repeated from the
--             days that were added until nothing is.
insert into night_days (customer_id, visitor_id, day, cause, hop)
with
    reached as
    (
        select customer_id, visitor_id, day
        from night_days
        where hop + 1 = {hop:UInt32}
    ),
    published_versions as
    (
        select day, argMax(sessions_version, version) as version
        from published_days
        group by day
    ),
    -- A session and the part of its chain before it.
    long_chains as
    (
        select distinct customer_id, visitor_id, toDate(chain_started_at) as first_day, toDate(last_event_at) as last_day
        from sessions_versions
        where (session_day, version) in (select day, version from published_versions)
            and session_day >= (select if(count() = 0, {whole_from:Date}, least(min(day), {whole_from:Date})) - 1 from reached)
            and first_day < last_day
            and ({hop:UInt32} = 1 or (customer_id, visitor_id) in (select customer_id, visitor_id from reached))
    ),
    chains as
    (
        select customer_id, visitor_id, first_day, last_day
        from long_chains
        where {hop:UInt32} = 1
            and first_day <= {whole_to:Date}
            and last_day >= {whole_from:Date}
            and (first_day < {whole_from:Date} or last_day > {whole_to:Date})
        union distinct
        select long_chains.customer_id, long_chains.visitor_id, long_chains.first_day, long_chains.last_day
        from long_chains
        inner join reached
            on long_chains.customer_id = reached.customer_id
            and long_chains.visitor_id = reached.visitor_id
        where reached.day between long_chains.first_day and long_chains.last_day
    ),
    chain_days as
    (
        select
            customer_id,
            visitor_id,
            arrayJoin(arrayMap(offset -> first_day + offset, range(toUInt32(last_day - first_day) + 1))) as day
        from chains
    )
select distinct customer_id, visitor_id, day, '', {hop:UInt32}
from chain_days
where day not between {whole_from:Date} and {whole_to:Date}
    and (day, customer_id, visitor_id) not in (select day, customer_id, visitor_id from night_days)
