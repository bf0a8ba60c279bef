-- Purpose:    List the conversions under names whose past has changed.
-- Reads:      run_names, conversions
-- Writes:     night_keys
-- Grain:      one row per (account, name, action id)
-- Parameters: full, version, names_before
-- Notes:      An interval that came or went concerns the conversions since its start, one that ends elsewhere
--             those since the earlier of its ends.
insert into night_keys (customer_id, api_name, action_id, cause)
with
    intervals as
    (
        select
            customer_id,
            event_id,
            api_name,
            valid_from,
            groupArray((run_names.version, ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC')))) as ends
        from run_names
        where run_names.version in ({version:UInt64}, {names_before:UInt64})
        group by customer_id, event_id, api_name, valid_from
    ),
    changed_names as
    (
        select
            customer_id,
            api_name,
            min(if(length(ends) = 2, least(ends[1].2, ends[2].2), valid_from)) as since
        from intervals
        where length(ends) != 2 or ends[1].2 != ends[2].2
        group by customer_id, api_name
    )
select distinct conversions.customer_id, conversions.api_name, conversions.action_id, 'event_name'
from conversions
inner join changed_names
    on conversions.customer_id = changed_names.customer_id
    and conversions.api_name = changed_names.api_name
where {full:UInt8} = 0
    and (conversions.customer_id, conversions.api_name) in (select customer_id, api_name from changed_names)
    and conversions.action_at >= changed_names.since
