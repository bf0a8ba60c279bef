-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view results_daily
(
    day Date comment 'UTC day with a view or an attribution',
    variation_id String comment 'Variation, configured or seen in the range',
    event_id String comment 'Goal event that the optimization has now',
    visitors UInt64 comment 'Distinct visitors exposed that day',
    conversions UInt64 comment 'Attribution rows of that day',
    converters UInt64 comment 'Distinct visitors exposed that day with an attribution row that day',
    value Decimal(38, 4) comment 'Value of the conversions of that day'
)
definer = current_user sql security definer
comment 'variation_daily of one optimization; parameters as of results_visitors'
as with
    moments as
    (
        select day, variation_id, visitor_id, 1 as is_view, '' as event_id, toDecimal128(0, 4) as value
        from exposures
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and day between {from_day:Date} and {to_day:Date}
        union all
        select conversion_day, variation_id, visitor_id, 0, event_id, toDecimal128(ifNull(attributions.value, toDecimal64(0, 4)), 4)
        from attributions
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and conversion_day between {from_day:Date} and {to_day:Date}
    ),
    visitor_days as
    (
        select
            day,
            variation_id,
            visitor_id,
            max(is_view) as is_exposed,
            groupArrayIf((moments.event_id, moments.value), is_view = 0) as attributed
        from moments
        group by day, variation_id, visitor_id
    ),
    -- Per day and variation: how many saw it, and (event, value, visitor if exposed) of each conversion.
    variation_days as
    (
        select
            day,
            variation_id,
            countIf(is_exposed = 1) as visitors,
            groupArrayArray(arrayMap(pair -> (pair.1, pair.2, if(is_exposed = 1, visitor_id, '')), attributed)) as attributed
        from visitor_days
        group by day, variation_id
    ),
    whole as
    (
        select
            groupUniqArray(day) as days,
            arrayDistinct(arrayConcat(
                groupUniqArray(variation_id),
                (
                    select groupArray(variation_id) from variations
                    where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
                )
            )) as variation_ids,
            mapFromArrays(groupArray(toString(day) || variation_id), groupArray((visitors, attributed))) as figures
        from variation_days
    ),
    goal_events as
    (
        select groupArray(event_id) as event_ids from goals
        where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
    ),
    cells as
    (
        select
            arrayJoin(whole.days) as cell_day,
            arrayJoin(whole.variation_ids) as cell_variation,
            arrayJoin(goal_events.event_ids) as cell_event,
            whole.figures[toString(cell_day) || cell_variation] as figure,
            arrayFilter(conversion -> conversion.1 = cell_event, figure.2) as of_event
        from whole
        cross join goal_events
    )
select
    cell_day as day,
    cell_variation as variation_id,
    cell_event as event_id,
    figure.1 as visitors,
    length(of_event) as conversions,
    length(arrayDistinct(arrayFilter(visitor -> visitor != '', arrayMap(conversion -> conversion.3, of_event)))) as converters,
    arraySum(arrayMap(conversion -> conversion.2, of_event)) as value
from cells
