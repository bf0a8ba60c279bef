-- R9: what is attributed to each variation, per event. A view with parameters, the same as results_visitors'. A
-- visitor's values are summed up before they are squared, since a visitor is what is tested.
create view if not exists results_conversions
as with
    exposed as
    (
        select distinct variation_id, visitor_id
        from exposures
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and day between {from_day:Date} and {to_day:Date}
    ),
    attributed as
    (
        select
            variation_id, event_id, visitor_id, user_domain, user_id, attributions.value as value,
            (variation_id, visitor_id) in (select variation_id, visitor_id from exposed) as is_exposed
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
            count() as times,
            count(value) as times_with_value,
            sum(toDecimal128(ifNull(value, 0), 4)) as total
        from attributed
        group by variation_id, event_id, visitor_id, is_exposed
    ),
    users as
    (
        select variation_id, event_id, uniqExact(user_domain, user_id) as converting_users
        from attributed
        group by variation_id, event_id
    ),
    totals as
    (
        select
            variation_id,
            event_id,
            sum(times) as conversions,
            countIf(is_exposed) as converters,
            sumIf(times, not is_exposed) as conversions_not_exposed,
            sum(times_with_value) as conversions_with_value,
            sum(total) as value_total,
            sumIf(total, not is_exposed) as value_not_exposed,
            sumIf(toFloat64(total) * toFloat64(total), is_exposed) as value_squares
        from per_visitor
        group by variation_id, event_id
    )
select
    totals.variation_id as variation_id,
    totals.event_id as event_id,
    totals.conversions as conversions,
    totals.converters as converters,
    users.converting_users as converting_users,
    totals.conversions_not_exposed as conversions_not_exposed,
    totals.conversions_with_value as conversions_with_value,
    totals.value_total as value_total,
    totals.value_not_exposed as value_not_exposed,
    totals.value_squares as value_squares
from totals
inner join users
    on totals.variation_id = users.variation_id
    and totals.event_id = users.event_id
