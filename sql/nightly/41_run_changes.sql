-- Purpose:    Note which figures of days that were published before differ now, and why.
-- Reads:      decisions_versions, exposures_versions, night_versions, run_days
-- Writes:     run_changes
-- Runs:       home
-- Grain:      one row per (account, day, optimization, variation, event) that differs
-- Parameters: run_id, version
-- Notes:      Visitors belong to a variation, whatever the event: they have a row without one. An exposure is a
--             visitor's day, so rows are visitors.
insert into run_changes
    (run_id, customer_id, day, optimization_id, variation_id, event_id, visitors_before, visitors_after,
     conversions_before, conversions_after, value_before, value_after, causes)
with
    compared_days as
    (
        select table_name, day, arrayJoin([night_versions.version, old_version]) as version
        from night_versions
        where night_versions.version = {version:UInt64}
            and day in (select day from night_versions where old_version > 0)
    ),
    figures as
    (
        select
            customer_id,
            day,
            optimization_id,
            variation_id,
            '' as event_id,
            countIf(exposures_versions.version != {version:UInt64}) as visitors_before,
            countIf(exposures_versions.version = {version:UInt64}) as visitors_after,
            toUInt64(0) as conversions_before,
            toUInt64(0) as conversions_after,
            toDecimal128(0, 4) as value_before,
            toDecimal128(0, 4) as value_after
        from exposures_versions
        where (day, exposures_versions.version) in (select compared_days.day, compared_days.version from compared_days where table_name = 'exposures_versions')
        group by customer_id, optimization_id, variation_id, day
        union all
        select
            customer_id,
            day,
            optimization_id,
            variation_id,
            event_id,
            0,
            0,
            countIf(decisions_versions.version != {version:UInt64}),
            countIf(decisions_versions.version = {version:UInt64}),
            sumIf(toDecimal128(ifNull(decisions_versions.credited_value, 0), 4), decisions_versions.version != {version:UInt64}),
            sumIf(toDecimal128(ifNull(decisions_versions.credited_value, 0), 4), decisions_versions.version = {version:UInt64})
        from decisions_versions
        array join credits.optimization_id as optimization_id, credits.variation_id as variation_id
        where (day, decisions_versions.version) in (select compared_days.day, compared_days.version from compared_days where table_name = 'decisions_versions')
        group by customer_id, day, optimization_id, variation_id, event_id
    ),
    reasons as
    (
        select customer_id, day, groupUniqArray(toString(cause)) as causes
        from run_days
        where run_id = {run_id:String} and customer_id != ''
        group by customer_id, day
    ),
    everywhere as
    (
        select day, groupUniqArray(toString(cause)) as causes
        from run_days
        where run_id = {run_id:String} and customer_id = ''
        group by day
    )
select
    {run_id:String},
    figures.customer_id,
    figures.day,
    figures.optimization_id,
    figures.variation_id,
    figures.event_id,
    figures.visitors_before,
    figures.visitors_after,
    figures.conversions_before,
    figures.conversions_after,
    figures.value_before,
    figures.value_after,
    arraySort(arrayDistinct(arrayConcat(reasons.causes, everywhere.causes)))
from figures
left join reasons
    on figures.customer_id = reasons.customer_id
    and figures.day = reasons.day
left join everywhere
    on figures.day = everywhere.day
where figures.visitors_before != figures.visitors_after
    or figures.conversions_before != figures.conversions_after
    or figures.value_before != figures.value_after
