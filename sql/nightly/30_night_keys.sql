-- Purpose:    List the conversions that may be decided otherwise now, and why.
-- Reads:      new_conversions, new_adjustments, erased_keys, conversions, identifies, night_visitor_days, run_names, run_rules
-- Writes:     night_keys
-- Runs:       home
-- Grain:      one row per (account, name, action id, cause)
-- Parameters: visible_since, low, high, version, names_before, whole_days, range_from, range_to, view_lookback_days
-- Notes:      By key, so that all copies of one are decided together (R5). Eight causes, ten selects.
insert into night_keys (customer_id, api_name, action_id, cause)
with
    -- Since when a visitor was known to be a user when the last run read, and since when it is now.
    links as
    (
        select
            customer_id,
            user_domain,
            user_id,
            visitor_id,
            min(occurred_at) as linked_at,
            minIf(occurred_at, inserted_at < {visible_since:DateTime64(3, 'UTC')} and received_at < {low:DateTime64(3, 'UTC')}) as known_at,
            countIf(inserted_at < {visible_since:DateTime64(3, 'UTC')} and received_at < {low:DateTime64(3, 'UTC')}) > 0 as was_known
        from identifies
        where received_at < {high:DateTime64(3, 'UTC')}
            and (customer_id, user_domain, user_id, visitor_id) in
            (
                select customer_id, user_domain, user_id, visitor_id
                from identifies
                where received_at < {high:DateTime64(3, 'UTC')}
                    and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
            )
        group by customer_id, user_domain, user_id, visitor_id
    ),
    identified_users as
    (
        select customer_id, user_domain, user_id
        from links
        where not was_known or linked_at < known_at
    ),
    -- The users of the visitors whose days are computed again.
    user_days as
    (
        select distinct
            identifies.customer_id as customer_id,
            identifies.user_domain as user_domain,
            identifies.user_id as user_id,
            night_visitor_days.day as day
        from identifies
        inner join night_visitor_days
            on identifies.customer_id = night_visitor_days.customer_id
            and identifies.visitor_id = night_visitor_days.visitor_id
        where night_visitor_days.cause != 'erasure' -- those are in erased_keys
    ),
    -- The names now, as the last run used them, and as those did that were killed after they had published. An interval that came
    -- or went concerns the conversions since its start, one that ends elsewhere those since the
    -- earlier of its ends.
    intervals as
    (
        select
            customer_id,
            event_id,
            api_name,
            valid_from,
            groupArray(ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC'))) as ends
        from run_names
        where run_names.version = {version:UInt64} or run_names.version in {names_before:Array(UInt64)}
        group by customer_id, event_id, api_name, valid_from
    ),
    changed_names as
    (
        select customer_id, api_name, min(if(length(ends) = 1 + length({names_before:Array(UInt64)}), arrayMin(ends), valid_from)) as since
        from intervals
        where length(ends) != 1 + length({names_before:Array(UInt64)})
            or arrayUniq(ends) > 1
        group by customer_id, api_name
    ),
    -- The rules now and then, of events that have other ones now.
    changed_rules as
    (
        select
            customer_id,
            event_id,
            arrayPushBack({names_before:Array(UInt64)}, {version:UInt64}) as versions,
            groupArray((run_rules.version, valid_from, ifNull(valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC')), window_days, credit)) as rules
        from run_rules
        where run_rules.version in versions
        group by customer_id, event_id
        having arrayUniq(arrayMap(of -> arraySort(arrayMap(rule -> (rule.2, rule.3, rule.4, rule.5), arrayFilter(rule -> rule.1 = of, rules))), versions)) > 1
    ),
    -- How far back views may count under a name: under some rule of an event that bore it.
    windows as
    (
        select run_names.customer_id as customer_id, run_names.api_name as api_name, max(run_rules.window_days) as window_days
        from run_names
        inner join run_rules
            on run_names.customer_id = run_rules.customer_id
            and run_names.event_id = run_rules.event_id
        where run_names.version = {version:UInt64}
            and run_rules.version = {version:UInt64}
            and run_rules.window_days > {view_lookback_days:UInt32}
        group by customer_id, api_name
    )
-- Received since.
select distinct customer_id, api_name, action_id, 'conversion'
from new_conversions
(
    visible_since = {visible_since:DateTime64(3, 'UTC')},
    low = {low:DateTime64(3, 'UTC')},
    high = {high:DateTime64(3, 'UTC')}
)
union all
-- Adjusted since (R10).
select distinct customer_id, api_name, action_id, 'adjustment'
from new_adjustments
(
    visible_since = {visible_since:DateTime64(3, 'UTC')},
    low = {low:DateTime64(3, 'UTC')},
    high = {high:DateTime64(3, 'UTC')}
)
union all
-- Of users who are known to be a visitor since, or since an earlier moment (R2). Pages that identify at each load change nothing.
select distinct customer_id, api_name, action_id, 'identity'
from conversions
where (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from identified_users)
union all
-- In reach of a view that may have changed: a view matters to conversions of the days after it (R6), or of their window (R4); the
-- session that it is in ends on the next day at the latest.
select distinct conversions.customer_id, conversions.api_name, conversions.action_id, 'client_event'
from conversions
inner join user_days
    on conversions.customer_id = user_days.customer_id
    and conversions.user_domain = user_days.user_domain
    and conversions.user_id = user_days.user_id
left join windows
    on conversions.customer_id = windows.customer_id
    and conversions.api_name = windows.api_name
where conversions.action_at >= (select toDateTime64(min(day), 3, 'UTC') from night_visitor_days)
    and toDate(conversions.action_at) between user_days.day and user_days.day + greatest({view_lookback_days:UInt32}, windows.window_days)
union all
select distinct customer_id, api_name, action_id, 'client_event'
from conversions
where toDate(action_at) in
    (
        select arrayJoin(arrayMap(later -> whole_day + later, range({view_lookback_days:UInt32} + 1)))
        from (select arrayJoin({whole_days:Array(Date)}) as whole_day)
    )
union all
select distinct customer_id, api_name, action_id, 'client_event'
from conversions
inner join windows
    on conversions.customer_id = windows.customer_id
    and conversions.api_name = windows.api_name
where (toDate(action_at), window_days) in
    (
        select arrayJoin({whole_days:Array(Date)}) + arrayJoin(range(windows.window_days + 1)), windows.window_days
        from windows
    )
union all
-- Under a name whose past has changed.
select distinct conversions.customer_id, conversions.api_name, conversions.action_id, 'event_name'
from conversions
inner join changed_names
    on conversions.customer_id = changed_names.customer_id
    and conversions.api_name = changed_names.api_name
where conversions.action_at >= changed_names.since
union all
-- Of an event whose rule at that moment is another one.
select distinct conversions.customer_id, conversions.api_name, conversions.action_id, 'rule'
from conversions
inner join run_names
    on conversions.customer_id = run_names.customer_id
    and conversions.api_name = run_names.api_name
inner join changed_rules
    on run_names.customer_id = changed_rules.customer_id
    and run_names.event_id = changed_rules.event_id
where run_names.version = {version:UInt64}
    and conversions.action_at >= run_names.valid_from
    and conversions.action_at < ifNull(run_names.valid_to, toDateTime64('2299-12-31 00:00:00', 3, 'UTC'))
    and arrayUniq
    (
        arrayMap
        (
            of -> tupleElement(arrayFirst(rule -> rule.1 = of and rule.2 <= conversions.action_at and conversions.action_at < rule.3, rules) as held, 4) * 2 + toUInt8(held.5),
            changed_rules.versions
        )
    ) > 1
union all
-- Of a person that is being erased, or decided otherwise without it.
select distinct customer_id, api_name, action_id, 'erasure'
from erased_keys
union all
-- Of the days asked for.
select distinct customer_id, api_name, action_id, 'rerun'
from conversions
where toDate(action_at) between {range_from:Date} and {range_to:Date}
