-- The same with one pass over the attributions and one over the exposures.
create or replace view results_conversions
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
