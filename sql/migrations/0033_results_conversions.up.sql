-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view results_conversions
(
    variation_id String comment 'Variation that conversions are attributed to',
    event_id String comment 'Event',
    conversions UInt64 comment 'Attribution rows',
    converters UInt64 comment 'Distinct visitors that saw the variation in the range and have an attribution row',
    converting_users UInt64 comment 'Distinct user ids',
    conversions_not_exposed UInt64 comment 'Attribution rows of visitors that did not see the variation in the range',
    conversions_with_value UInt64 comment 'Attribution rows that have a value',
    value_total Decimal(38, 4) comment 'Sum of the values',
    value_not_exposed Decimal(38, 4) comment 'Of it, that of visitors that did not see the variation in the range',
    value_squares Float64 comment 'Sum of the squares of what each visitor brought'
)
definer = current_user sql security definer
comment 'Conversions by variation and goal event of an optimization; parameters as of results_visitors'
as with
    attributed as
    (
        select
            variation_id, event_id, visitor_id, user_domain, user_id, attributions.value as value,
            (variation_id, visitor_id) in
            (
                select variation_id, visitor_id
                from exposures
                where customer_id = {customer_id:String}
                    and optimization_id = {optimization_id:String}
                    and day between {from_day:Date} and {to_day:Date}
            ) as is_exposed
        from attributions
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and conversion_day between {from_day:Date} and {to_day:Date}
    ),
    per_visitor as
    (
        select
            variation_id,
            event_id,
            visitor_id,
            is_exposed,
            groupUniqArray((user_domain, user_id)) as users,
            count() as times,
            count(value) as times_with_value,
            sum(toDecimal128(ifNull(value, 0), 4)) as total
        from attributed
        group by variation_id, event_id, visitor_id, is_exposed
    )
select
    variation_id,
    event_id,
    sum(times) as conversions,
    countIf(is_exposed) as converters,
    uniqExactArray(users) as converting_users,
    sumIf(times, not is_exposed) as conversions_not_exposed,
    sum(times_with_value) as conversions_with_value,
    sum(total) as value_total,
    sumIf(total, not is_exposed) as value_not_exposed,
    sumIf(toFloat64(total) * toFloat64(total), is_exposed) as value_squares
from per_visitor
group by variation_id, event_id
