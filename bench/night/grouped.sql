-- The results of one optimization as a warehouse-native experiment tool computes them when it groups its metrics: all events in one
-- scan. First exposure per visitor, conversions through the identities within 168 hours after it; per variation and event the
-- visitors, how many converted, and the sums that a mean and its variance need.
with
    first_exposures as
    (
        select customer_id, visitor_id, argMin(variation_id, occurred_at) as variation_id, min(occurred_at) as exposed_at
        from client_events
        where type = 'view' and optimization_id = {optimization:String}
        group by customer_id, visitor_id
    ),
    identities as
    (
        select distinct customer_id, visitor_id, user_domain, user_id
        from client_events
        where type = 'identify'
    ),
    converted as
    (
        select
            identities.customer_id as customer_id,
            identities.visitor_id as visitor_id,
            conversions.api_name as api_name,
            conversions.action_at as action_at,
            conversions.value as value
        from conversions
        inner join identities
            on conversions.customer_id = identities.customer_id
            and conversions.user_domain = identities.user_domain
            and conversions.user_id = identities.user_id
    ),
    visitor_metrics as
    (
        select
            first_exposures.variation_id as variation_id,
            first_exposures.customer_id as customer_id,
            first_exposures.visitor_id as visitor_id,
            converted.api_name as api_name,
            sum(toFloat64(ifNull(converted.value, 0))) as total
        from first_exposures
        inner join converted
            on first_exposures.customer_id = converted.customer_id
            and first_exposures.visitor_id = converted.visitor_id
        where converted.action_at > first_exposures.exposed_at
            and converted.action_at < first_exposures.exposed_at + toIntervalHour(168)
        group by variation_id, customer_id, visitor_id, api_name
    ),
    exposed as
    (
        select variation_id, count() as visitors
        from first_exposures
        group by variation_id
    )
select
    exposed.variation_id as variation_id,
    visitor_metrics.api_name as api_name,
    any(exposed.visitors) as visitors,
    count() as converters,
    sum(visitor_metrics.total) as value,
    sum(visitor_metrics.total * visitor_metrics.total) as value_squares
from exposed
inner join visitor_metrics
    on exposed.variation_id = visitor_metrics.variation_id
group by variation_id, api_name
order by variation_id, api_name
