-- The results of one optimization and one event as a warehouse-native experiment tool
-- computes them from raw tables: first exposure per visitor, conversions of the visitor
-- within a window after it, aggregated per variation.
with
    first_exposures as
    (
        select customer_id, visitor_id, argMin(variation_id, occurred_at) as variation_id, min(occurred_at) as exposed_at
        from client_events
        where type = 'view' and optimization_id = {optimization:String}
        group by customer_id, visitor_id
    ),
    links as
    (
        select distinct customer_id, visitor_id, user_domain, user_id
        from client_events
        where type = 'identify'
    ),
    converted as
    (
        select links.customer_id as customer_id, links.visitor_id as visitor_id, conversions.action_at as action_at, conversions.value as value
        from conversions
        inner join links
            on conversions.customer_id = links.customer_id
            and conversions.user_domain = links.user_domain
            and conversions.user_id = links.user_id
        where conversions.api_name = {event:String}
    )
select
    first_exposures.variation_id as variation_id,
    uniqExact(first_exposures.customer_id, first_exposures.visitor_id) as visitors,
    uniqExactIf((first_exposures.customer_id, first_exposures.visitor_id), converted.action_at > first_exposures.exposed_at
        and converted.action_at < first_exposures.exposed_at + toIntervalDay(7)) as converters,
    sumIf(converted.value, converted.action_at > first_exposures.exposed_at
        and converted.action_at < first_exposures.exposed_at + toIntervalDay(7)) as value
from first_exposures
left join converted
    on first_exposures.customer_id = converted.customer_id
    and first_exposures.visitor_id = converted.visitor_id
group by variation_id
order by variation_id
