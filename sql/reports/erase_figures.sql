-- Purpose:    The published figures that an erasure changes, now and without the person.
-- Reads:      exposures, attributions, erased_visitors, erased_users
-- Grain:      one row per (optimization, variation, event) that differs; visitors have a row without an event
-- Parameters: customer_id
-- Notes:      Over all days. Conversions of others that were attributed to a visitor that goes are taken for gone; the run may attribute them to another
--             view of theirs.
with
    (select groupArray(visitor_id) from erased_visitors where is_whole = 1) as gone,
    figures as
    (
        select
            optimization_id,
            variation_id,
            '' as event_id,
            uniqExact(visitor_id) as visitors_before,
            uniqExactIf(visitor_id, not has(gone, visitor_id)) as visitors_after,
            toUInt64(0) as conversions_before,
            toUInt64(0) as conversions_after,
            toDecimal128(0, 4) as value_before,
            toDecimal128(0, 4) as value_after
        from exposures
        where customer_id = {customer_id:String}
        group by optimization_id, variation_id
        union all
        select
            optimization_id,
            variation_id,
            event_id,
            0,
            0,
            count(),
            countIf(stays),
            sum(toDecimal128(ifNull(value, 0), 4)),
            sumIf(toDecimal128(ifNull(value, 0), 4), stays)
        from
        (
            select
                optimization_id,
                variation_id,
                event_id,
                value,
                not has(gone, visitor_id) and (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from erased_users) as stays
            from attributions
            where customer_id = {customer_id:String}
        )
        group by optimization_id, variation_id, event_id
    )
select *
from figures
where visitors_before != visitors_after
    or conversions_before != conversions_after
order by optimization_id, variation_id, event_id
