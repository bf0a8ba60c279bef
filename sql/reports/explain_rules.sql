-- Purpose:    The attribution rules of the events that bore a name, as they are, and as the last run saw them.
-- Reads:      event_names, event_rules, run_names, run_rules, run_log
-- Grain:      one row per (of_run, interval of a rule within one of the name)
-- Parameters: customer_id, api_name
-- Notes:      A name that an event bore without a rule gives no row.
with
    (select max(version) from run_log final where state = 'done') as last_version,
    names as
    (
        select 0 as of_run, event_id, valid_from, valid_to
        from event_names
        where customer_id = {customer_id:String}
            and api_name = {api_name:String}
        union all
        select 1, event_id, valid_from, valid_to
        from run_names
        where customer_id = {customer_id:String}
            and api_name = {api_name:String}
            and version = last_version
    ),
    rules as
    (
        select 0 as of_run, event_id, window_days, credit, valid_from, valid_to
        from event_rules
        where customer_id = {customer_id:String}
        union all
        select 1, event_id, window_days, credit, valid_from, valid_to
        from run_rules
        where customer_id = {customer_id:String}
            and version = last_version
    )
select
    names.of_run = 1 as of_run,
    rules.window_days as window_days,
    toString(rules.credit) as credit,
    greatest(names.valid_from, rules.valid_from) as valid_from,
    nullIf(least(ifNull(names.valid_to, open_end), ifNull(rules.valid_to, open_end)), toDateTime64('2299-12-31 00:00:00', 3, 'UTC') as open_end) as valid_to
from names
inner join rules
    on names.of_run = rules.of_run
    and names.event_id = rules.event_id
where valid_to is null or valid_from < valid_to
order by of_run, valid_from
