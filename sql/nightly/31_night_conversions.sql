-- Purpose:    Take the conversions to decide: which copy of a key counts (R5), which event bore its name which rule that had (R3), and what it
--             is worth now (R10).
-- Reads:      conversions, adjustments, night_keys, run_names, run_rules
-- Writes:     night_conversions
-- Runs:       home
-- Grain:      one row per ingest_id, of the keys to decide
-- Parameters: full, high, cutoff, version
-- Notes:      In the order of the table rows written twice lie next to each other. UUIDs are compared as text: ClickHouse
--             orders the type by its halves. The action's id alone is looked up first, so that of all years nothing else is
--             read. Copies received behind the cutoff are taken, too: they may be published, of a later cutoff, and their
--             days are staged then. 35_decisions leaves them out.
insert into night_conversions
    (conversion, customer_id, event_id, api_name, action_id, user_domain, user_id, converted_at, value, credited_value, received_at,
     ingest_id, window_days, credit, is_duplicate, is_retracted)
with
    looked_back as
    (
        select
            customer_id,
            api_name,
            action_id,
            user_domain,
            user_id,
            action_at,
            value,
            received_at,
            ingest_id,
            row_number() over by_key as copy_number,
            copy_number > 1 and ingest_id = lagInFrame(ingest_id) over by_key as is_written_twice
        from conversions
        where received_at < {high:DateTime64(3, 'UTC')}
            and ({full:UInt8} = 1 or action_id in (select action_id from night_keys))
            and ({full:UInt8} = 1 or (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys))
        window by_key as
        (
            partition by customer_id, api_name, action_id
            order by received_at, toString(ingest_id)
            rows between unbounded preceding and current row
        )
    ),
    -- All intervals of a name in one row, so that the join below cannot multiply conversions.
    names as
    (
        select
            customer_id,
            api_name,
            groupArray((valid_from, ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC')), event_id)) as intervals
        from run_names
        where run_names.version = {version:UInt64}
        group by customer_id, api_name
    ),
    named as
    (
        select
            looked_back.*,
            arrayFirst(interval -> interval.1 <= action_at and action_at < interval.2, names.intervals).3 as event_id
        from looked_back
        left join names
            on looked_back.customer_id = names.customer_id
            and looked_back.api_name = names.api_name
        where not is_written_twice
    ),
    rules as
    (
        select
            customer_id,
            event_id,
            groupArray((valid_from, ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC')), window_days, credit)) as intervals
        from run_rules
        where run_rules.version = {version:UInt64}
        group by customer_id, event_id
    ),
    -- Of the adjustments of a key the last one counts.
    adjusted as
    (
        select
            customer_id,
            api_name,
            action_id,
            argMax((kind, value), (adjusted_at, received_at, toString(ingest_id))) as last
        from adjustments
        where received_at < {cutoff:DateTime64(3, 'UTC')}
            and ({full:UInt8} = 1 or action_id in (select action_id from night_keys))
            and ({full:UInt8} = 1 or (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from night_keys))
        group by customer_id, api_name, action_id
    )
select
    row_number() over () as conversion,
    named.customer_id,
    named.event_id,
    named.api_name,
    named.action_id,
    user_domain,
    user_id,
    action_at,
    named.value,
    if(adjusted.action_id = '', named.value, adjusted.last.2),
    named.received_at,
    named.ingest_id,
    -- None gives the defaults: session, last.
    (arrayFirst(interval -> interval.1 <= action_at and action_at < interval.2, rules.intervals) as rule).3,
    rule.4,
    copy_number > 1,
    copy_number = 1 and adjusted.last.1 = 'retract'
from named
left join rules
    on named.customer_id = rules.customer_id
    and named.event_id = rules.event_id
left join adjusted
    on named.customer_id = adjusted.customer_id
    and named.api_name = adjusted.api_name
    and named.action_id = adjusted.action_id
settings min_insert_block_size_rows = 262144
