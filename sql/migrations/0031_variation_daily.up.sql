-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view variation_daily
(
    customer_id String comment 'Account',
    day Date comment 'UTC day',
    optimization_id String comment 'Optimization',
    variation_id String comment 'Variation, configured or seen',
    event_id String comment 'Goal event that the optimization has now',
    visitors UInt64 comment 'Distinct visitors exposed that day',
    conversions UInt64 comment 'Attribution rows of that day',
    converters UInt64 comment 'Distinct visitors exposed that day with an attribution row that day',
    value Decimal(18, 4) comment 'Value of the conversions of that day, at most what the type holds'
)
definer = current_user sql security definer
comment 'Figures of every variation and goal by day (R9)'
as with
    active_days as
    (
        select distinct customer_id, optimization_id, day from exposures
        union distinct
        select distinct customer_id, optimization_id, conversion_day as day from attributions
    ),
    known_variations as
    (
        select distinct customer_id, optimization_id, variation_id from variations
        union distinct
        select distinct customer_id, optimization_id, variation_id from exposures
        union distinct
        select distinct customer_id, optimization_id, variation_id from attributions
    ),
    exposed as
    (
        select customer_id, optimization_id, variation_id, day, uniqExact(visitor_id) as visitors
        from exposures
        group by customer_id, optimization_id, variation_id, day
    ),
    converted as
    (
        select
            customer_id, optimization_id, variation_id, event_id, conversion_day as day,
            count() as conversions,
            uniqExactIf(
                visitor_id,
                (customer_id, optimization_id, variation_id, visitor_id, conversion_day)
                in (select customer_id, optimization_id, variation_id, visitor_id, day from exposures)
            ) as converters,
            sum(ifNull(attributions.value, toDecimal64(0, 4))) as total
        from attributions
        group by customer_id, optimization_id, variation_id, event_id, conversion_day
    )
select
    active_days.customer_id as customer_id,
    active_days.day as day,
    active_days.optimization_id as optimization_id,
    known_variations.variation_id as variation_id,
    goals.event_id as event_id,
    exposed.visitors as visitors,
    converted.conversions as conversions,
    converted.converters as converters,
    toDecimal64(least(converted.total, toDecimal128('99999999999999.9999', 4)), 4) as value
from active_days
inner join known_variations
    on active_days.customer_id = known_variations.customer_id
    and active_days.optimization_id = known_variations.optimization_id
inner join goals
    on active_days.customer_id = goals.customer_id
    and active_days.optimization_id = goals.optimization_id
left join exposed
    on active_days.customer_id = exposed.customer_id
    and active_days.optimization_id = exposed.optimization_id
    and known_variations.variation_id = exposed.variation_id
    and active_days.day = exposed.day
left join converted
    on active_days.customer_id = converted.customer_id
    and active_days.optimization_id = converted.optimization_id
    and known_variations.variation_id = converted.variation_id
    and goals.event_id = converted.event_id
    and active_days.day = converted.day
settings join_use_nulls = 0
