-- Purpose:    By which attributes the visitors of an optimization can be looked at in parts: the most frequent texts of each.
-- Reads:      entries
-- Grain:      one row per (attribute, text)
-- Parameters: customer_id, optimization_id, limit
select name, text, count() as visitors
from
(
    select pair.1 as name, pair.2 as text
    from entries
    array join arrayZip(mapKeys(attributes), mapValues(attributes)) as pair
    where customer_id = {customer_id:String} and optimization_id = {optimization_id:String}
)
group by name, text
order by name, visitors desc, text
limit {limit:UInt32} by name
