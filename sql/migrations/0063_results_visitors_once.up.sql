-- The same with one pass over the exposures.
create or replace view results_visitors
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
