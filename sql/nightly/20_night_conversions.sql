-- Purpose:    Take each conversion once, say which copy of a key counts (R5) and which event bore its
--             name when it happened (R3).
-- Reads:      conversions, run_names, night_keys, night_key_days
-- Writes:     night_conversions
-- Grain:      one row per ingest_id received before the cutoff, of the keys to decide
-- Parameters: full, cutoff, version
-- Notes:      Rows that share neither their id nor their key with another one need no order: in a full run those are
--             most. Of an incremental one there are so few that a look for them costs more. The conditions stand apart,
--             so that the tuple is looked up only where the action's id was found.
insert into night_conversions
    (customer_id, event_id, api_name, action_id, user_domain, user_id, converted_at, value, received_at,
     ingest_id, is_duplicate)
with
    received as
    (
        select customer_id, api_name, action_id, user_domain, user_id, action_at, value, received_at, ingest_id
        from conversions
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and ({full:UInt8} = 1 or toDate(action_at) in (select day from night_key_days))
            and ({full:UInt8} = 1 or action_id in (select action_id from night_keys))
            and ({full:UInt8} = 1 or (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys))
    ),
    -- Hashes of the ids and of the keys that several rows share.
    shared as
    (
        select hash
        from
        (
            select arrayJoin([cityHash64(1, ingest_id), cityHash64(2, customer_id, api_name, action_id)]) as hash
            from received
            where {full:UInt8} = 1
        )
        group by hash
        having count() > 1
    ),
    -- Rows with one ingest_id were written twice.
    copies as
    (
        select *
        from received
        where {full:UInt8} = 0
            or cityHash64(1, ingest_id) in (select hash from shared)
            or cityHash64(2, customer_id, api_name, action_id) in (select hash from shared)
        order by received_at, action_at, customer_id, api_name, action_id, user_domain, user_id, value
        limit 1 by ingest_id
    ),
    -- UUIDs are compared as text: ClickHouse orders the type by its halves.
    copies_numbered as
    (
        select
            *,
            row_number() over
            (
                partition by customer_id, api_name, action_id
                order by received_at, toString(ingest_id)
            ) as copy_number
        from copies
        union all
        select *, 1
        from received
        where {full:UInt8} = 1
            and cityHash64(1, ingest_id) not in (select hash from shared)
            and cityHash64(2, customer_id, api_name, action_id) not in (select hash from shared)
    ),
    -- All intervals of a name in one row, so that the join below cannot multiply conversions.
    names as
    (
        select
            customer_id,
            api_name,
            groupArray((
                valid_from,
                ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC')),
                event_id
            )) as intervals
        from run_names
        where run_names.version = {version:UInt64}
        group by customer_id, api_name
    )
select
    copies_numbered.customer_id,
    arrayFirst(
        interval -> interval.1 <= copies_numbered.action_at and copies_numbered.action_at < interval.2,
        names.intervals
    ).3 as event_id,
    copies_numbered.api_name,
    copies_numbered.action_id,
    copies_numbered.user_domain,
    copies_numbered.user_id,
    copies_numbered.action_at,
    copies_numbered.value,
    copies_numbered.received_at,
    copies_numbered.ingest_id,
    copies_numbered.copy_number > 1
from copies_numbered
left join names
    on copies_numbered.customer_id = names.customer_id
    and copies_numbered.api_name = names.api_name
settings min_insert_block_size_rows = 262144
