-- Purpose:    Draw in the days that a chain of sessions connects with those listed.
-- Reads:      night_days, sessions_versions, published_days
-- Writes:     night_days
-- Grain:      one row per visitor-day that was not listed
-- Parameters: whole_from, whole_to
-- Notes:      A chain is a run of events without a gap; where its sessions begin depends on its first event
--             (R1), so it is computed whole. So are the chains that lead out of the days computed whole.
--             Repeated until nothing is added.
insert into night_days (customer_id, visitor_id, day, cause)
with
    published_versions as
    (
        select day, argMax(events_version, version) as version
        from published_days
        group by day
    ),
    chains as
    (
        select distinct customer_id, visitor_id, toDate(chain_started_at) as first_day, toDate(chain_ended_at) as last_day
        from sessions_versions
        where (session_day, version) in (select day, version from published_versions)
            and
            (
                session_day in (select arrayJoin([day - 1, day]) from night_days)
                or session_day between {whole_from:Date} - 1 and {whole_to:Date}
            )
            and toDate(chain_started_at) < toDate(chain_ended_at)
            and
            (
                toDate(chain_started_at) <= {whole_to:Date}
                    and toDate(chain_ended_at) >= {whole_from:Date}
                    and (toDate(chain_started_at) < {whole_from:Date} or toDate(chain_ended_at) > {whole_to:Date})
                or (session_day, customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
                or (toDate(last_event_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days)
            )
    ),
    chain_days as
    (
        select
            customer_id,
            visitor_id,
            arrayJoin(arrayMap(offset -> first_day + offset, range(toUInt32(last_day - first_day) + 1))) as day
        from chains
    )
select distinct customer_id, visitor_id, day, ''
from chain_days
where day not between {whole_from:Date} and {whole_to:Date}
    and (day, customer_id, visitor_id) not in (select day, customer_id, visitor_id from night_days)
