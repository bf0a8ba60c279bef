-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view results_history
(
    run_id String comment 'Run that noted it',
    cutoff DateTime64(3, 'UTC') comment 'Its cutoff',
    customer_id String comment 'Account',
    optimization_id String comment 'Optimization',
    event_id String comment 'Goal event',
    position UInt32 comment 'Place in the order of the variations',
    variation_id String comment 'Variation that the visitors entered with',
    variation_name String comment 'What it was called',
    is_baseline UInt8 comment '1 for the variation that others are compared with',
    weight Float64 comment 'Share of the traffic that was configured',
    planned_visitors UInt64 comment 'How many visitors were planned to be compared',
    mde_percent Float64 comment 'The smallest lift worth finding, in per cent',
    window_hours UInt32 comment 'For how long after the entry conversions count',
    entered UInt64 comment 'Visitors who entered',
    mature UInt64 comment 'Of them those whose window was over: all following figures are of these',
    converters UInt64 comment 'Of those the ones who converted',
    rate Nullable(Float64) comment 'converters / mature',
    value_total Decimal(38, 4) comment 'Value of their conversions',
    value_squares Float64 comment 'Sum of the squares of what each visitor brought',
    value_per_visitor Nullable(Float64) comment 'value_total / mature',
    saw_another UInt64 comment 'Of the entered those who saw another variation, too',
    rate_lift Nullable(Float64) comment 'Difference of the rate from the baseline, relative to it',
    rate_low Nullable(Float64) comment 'Lower end of its always-valid interval of 95 %',
    rate_high Nullable(Float64) comment 'Upper end of its always-valid interval of 95 %',
    rate_p_value Nullable(Float64) comment 'Its always-valid p value',
    rate_p_adjusted Nullable(Float64) comment 'The same after Holm, over all goals and variations',
    rate_fixed_low Nullable(Float64) comment 'Lower end of the interval for a single look',
    rate_fixed_high Nullable(Float64) comment 'Upper end of the interval for a single look',
    rate_fixed_p_value Nullable(Float64) comment 'p value for a single look',
    rate_chance_to_beat Nullable(Float64) comment 'Posterior probability of being better than the baseline',
    value_lift Nullable(Float64) comment 'Difference of the value per visitor from the baseline, relative to it',
    value_low Nullable(Float64) comment 'Lower end of its always-valid interval of 95 %',
    value_high Nullable(Float64) comment 'Upper end of its always-valid interval of 95 %',
    value_p_value Nullable(Float64) comment 'Its always-valid p value',
    value_p_adjusted Nullable(Float64) comment 'The same after Holm, over all goals and variations',
    value_fixed_low Nullable(Float64) comment 'Lower end of the interval for a single look',
    value_fixed_high Nullable(Float64) comment 'Upper end of the interval for a single look',
    value_fixed_p_value Nullable(Float64) comment 'p value for a single look',
    value_chance_to_beat Nullable(Float64) comment 'Posterior probability of being better than the baseline',
    sample_ratio_p_value Nullable(Float64) comment 'p value of the split of the entered against the weights',
    days_left Nullable(UInt32) comment 'Days until a lift of mde_percent would show, by the entries of the last 14 days',
    verdict String comment 'The result in words, of the variation',
    goal_verdict String comment 'The result in words, of the goal',
    note String comment 'Why nothing was compared',
    turned_around UInt8 comment '1 where the run that noted it last had come to another decision',
    known_at DateTime64(3, 'UTC') comment 'When that run finished'
)
definer = current_user sql security definer
comment 'Results of optimizations as each run left them (R11); only runs that changed an optimization have rows of it'
as select
    results_noted.run_id as run_id, cutoff, customer_id, optimization_id, event_id, position, variation_id, variation_name, is_baseline, weight,
    planned_visitors, mde_percent, window_hours, entered, mature, converters, rate, value_total, value_squares,
    value_per_visitor, saw_another, rate_lift, rate_low, rate_high, rate_p_value, rate_p_adjusted, rate_fixed_low,
    rate_fixed_high, rate_fixed_p_value, rate_chance_to_beat, value_lift, value_low, value_high, value_p_value,
    value_p_adjusted, value_fixed_low, value_fixed_high, value_fixed_p_value, value_chance_to_beat,
    sample_ratio_p_value, days_left, verdict, goal_verdict, note, turned_around,
    assumeNotNull(run_log.finished_at) as known_at
from results_noted
inner join (select run_id, finished_at from run_log final where state = 'done') as run_log
    on results_noted.run_id = run_log.run_id
where event_id != '' -- such a row says that an optimization has no goal any more
