-- Purpose:    What was known of an optimization after each run that changed it, by a moment (R11).
-- Reads:      results_noted, run_log
-- Grain:      one row per (run, goal event, variation), the newest run first
-- Parameters: customer_id, optimization_id, known_at, limit
-- Notes:      A run that found no goal any more has a row without an event, which results_history leaves out.
with
    finished as
    (
        select run_id, assumeNotNull(finished_at) as known_at
        from run_log final
        where state = 'done' and finished_at <= {known_at:DateTime64(3, 'UTC')}
    )
select
    run_id, cutoff, customer_id, optimization_id, event_id, position, variation_id, variation_name, is_baseline,
    weight, planned_visitors, mde_percent, window_hours, entered, mature, converters, rate, value_total,
    value_squares, value_per_visitor, saw_another, rate_lift, rate_low, rate_high, rate_p_value, rate_p_adjusted,
    rate_fixed_low, rate_fixed_high, rate_fixed_p_value, rate_chance_to_beat, value_lift, value_low, value_high,
    value_p_value, value_p_adjusted, value_fixed_low, value_fixed_high, value_fixed_p_value, value_chance_to_beat,
    sample_ratio_p_value, days_left, verdict, goal_verdict, note, turned_around,
    known_at
from results_noted
inner join finished
    on results_noted.run_id = finished.run_id
where customer_id = {customer_id:String}
    and optimization_id = {optimization_id:String}
    and run_id in
    (
        select run_id
        from results_noted
        inner join finished
            on results_noted.run_id = finished.run_id
        where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
        group by run_id
        order by max(known_at) desc, run_id desc
        limit {limit:UInt32}
    )
order by known_at desc, run_id desc, event_id, position
