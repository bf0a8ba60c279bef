-- Runs with its creator's rights, so analysts need no grants on the tables underneath.
create or replace view results_visitors
(
    variation_id String comment 'Variation that was seen in the range',
    visitors UInt64 comment 'Distinct visitors that saw it',
    visitors_of_several UInt64 comment 'Visitors that saw more than one variation; the same in each row'
)
definer = current_user sql security definer
comment 'Visitors of each variation of an optimization: results_visitors(customer_id = …, optimization_id = …, from_day = …, to_day = …), both days inclusive'
as with
    visitors as
    (
        select visitor_id, groupUniqArray(variation_id) as variation_ids
        from exposures
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and day between {from_day:Date} and {to_day:Date}
        group by visitor_id
    ),
    -- Each visitor of several is counted at one of the variations, so that the sum counts them once.
    variations_seen as
    (
        select
            arrayJoin(variation_ids) as variation_id,
            count() as visitors,
            countIf(length(variation_ids) > 1 and variation_id = variation_ids[1]) as several
        from visitors
        group by variation_id
    )
select variation_id, variations_seen.visitors as visitors, sum(several) over () as visitors_of_several
from variations_seen
