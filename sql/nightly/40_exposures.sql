-- Purpose:    Stage who saw which variation on the visitor-days computed anew (R9).
-- Reads:      client_events, night_doubles, night_days
-- Writes:     exposures_versions
-- Grain:      one row per (account, optimization, variation, visitor, UTC day of the view)
-- Parameters: full, whole_from, whole_to, cutoff, doubled, version, slice_first_day, slice_first_customer,
--             slice_first_visitor, slice_end_day, slice_end_customer, slice_end_visitor, slice_last, slice_threads
-- Notes:      Days that are only drawn in have the exposures that they had. Listed visitor-days are read apart, see
--             30. Slices of the visitor-days, in the order of the table, keep the groups in the processor's cache
--             and write few days each.
insert into exposures_versions
    (customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, last_viewed_at, views, version)
with
    moments as
    (
        select customer_id, optimization_id, variation_id, visitor_id, occurred_at
        from
        (
            select customer_id, optimization_id, variation_id, visitor_id, occurred_at
            from client_events
            where received_at < {cutoff:DateTime64(3, 'UTC')}
                and type = 'view'
                and ({full:UInt8} = 1 or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date})
                and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
            union all
            select customer_id, optimization_id, variation_id, visitor_id, occurred_at
            from client_events
            where {full:UInt8} = 0
                and toDate(occurred_at) not between {whole_from:Date} and {whole_to:Date}
                and visitor_id in (select visitor_id from night_days where cause != '')
                and (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days where cause != '')
                and received_at < {cutoff:DateTime64(3, 'UTC')}
                and type = 'view'
                and ({doubled:UInt8} = 0 or ingest_id not in (select ingest_id from night_doubles))
            union all
            select customer_id, optimization_id, variation_id, visitor_id, occurred_at
            from night_doubles
            where
                (
                    {full:UInt8} = 1
                    or toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
                    or (toDate(occurred_at), customer_id, visitor_id) in (select day, customer_id, visitor_id from night_days where cause != '')
                )
                and type = 'view'
        )
        where (toDate(occurred_at) > {slice_first_day:Date}
                or toDate(occurred_at) = {slice_first_day:Date} and customer_id > {slice_first_customer:String}
                or toDate(occurred_at) = {slice_first_day:Date} and customer_id = {slice_first_customer:String}
                    and visitor_id >= {slice_first_visitor:String})
            and ({slice_last:UInt8} = 1
                or toDate(occurred_at) < {slice_end_day:Date}
                or toDate(occurred_at) = {slice_end_day:Date} and customer_id < {slice_end_customer:String}
                or toDate(occurred_at) = {slice_end_day:Date} and customer_id = {slice_end_customer:String}
                    and visitor_id < {slice_end_visitor:String})
    )
select
    customer_id,
    optimization_id,
    variation_id,
    visitor_id,
    toDate(occurred_at) as day,
    min(occurred_at),
    max(occurred_at),
    count(),
    {version:UInt64}
from moments
group by customer_id, optimization_id, variation_id, visitor_id, day
settings max_threads = {slice_threads:UInt64}
