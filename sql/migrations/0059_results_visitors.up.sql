-- R9: whom each variation was shown to. A view with parameters: results_visitors(customer_id = 'c1',
-- optimization_id = 'o1', from_day = '2026-09-01', to_day = '2026-09-30'), both days inclusive.
-- visitors_of_several is the same in each row: how many saw more than one variation.
create view if not exists results_visitors
as with exposed as
(
    select variation_id, visitor_id
    from exposures
    where customer_id = {customer_id:String}
        and optimization_id = {optimization_id:String}
        and day between {from_day:Date} and {to_day:Date}
    group by variation_id, visitor_id
)
select
    variation_id,
    count() as visitors,
    (select count() from (select visitor_id from exposed group by visitor_id having count() > 1)) as visitors_of_several
from exposed
group by variation_id
