-- Purpose:    What was noted of each optimization last, and of each goal by the run of the largest cutoff up to this one (R11).
-- Reads:      results_noted, run_log
-- Grain:      one row per (account, optimization, run, goal event, variation)
-- Parameters: cutoff
-- Notes:      Of runs that ended well: what others noted is as if it had not been. A decision is held against the second, since runs may go back and goals may be removed for a while.
with
    done as (select run_log.run_id from run_log where state = 'done'),
    last as
    (
        select customer_id, optimization_id, max(run_id)
        from results_noted
        where run_id in (select run_id from done)
        group by customer_id, optimization_id
    ),
    before as
    (
        select customer_id, optimization_id, event_id, argMax(run_id, (results_noted.cutoff, run_id))
        from results_noted
        where run_id in (select run_id from done)
            and event_id != ''
            and results_noted.cutoff <= {cutoff:DateTime64(3, 'UTC')}
        group by customer_id, optimization_id, event_id
    )
select
    (customer_id, optimization_id, run_id) in (select * from last) as is_last,
    (customer_id, optimization_id, event_id, run_id) in (select * from before) as is_before,
    run_id, cutoff, customer_id, optimization_id, event_id, position, variation_id, variation_name, is_baseline,
    weight, planned_visitors, mde_percent, window_hours, entered, mature, converters, rate, value_total,
    value_squares, value_per_visitor, saw_another, rate_lift, rate_low, rate_high, rate_p_value, rate_p_adjusted,
    rate_fixed_low, rate_fixed_high, rate_fixed_p_value, rate_chance_to_beat, value_lift, value_low, value_high,
    value_p_value, value_p_adjusted, value_fixed_low, value_fixed_high, value_fixed_p_value, value_chance_to_beat,
    sample_ratio_p_value, days_left, verdict, goal_verdict, note, turned_around
from results_noted
where (customer_id, optimization_id, run_id) in (select * from last)
    or (customer_id, optimization_id, event_id, run_id) in (select * from before)
order by customer_id, optimization_id, event_id, position
