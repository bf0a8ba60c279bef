-- Purpose:    What has come since a moment for the visitors of an optimization who were mature then: why a figure of theirs is another one now.
-- Reads:      entries, attributions, conversion_outcomes, adjustments, identifies
-- Grain:      one row per variation that visitors entered with
-- Parameters: customer_id, optimization_id, event_id, window_days, moment, cutoff
-- Notes:      A conversion is late if its first copy was received at that moment or later. A retracted one is attributed to nobody any more: it counts
--             where a visitor of its user could have had it.
with
    compared as
    (
        select visitor_id, variation_id, entered_at, entered_at + toIntervalDay({window_days:UInt32}) as until
        from entries
        where customer_id = {customer_id:String}
            and optimization_id = {optimization_id:String}
            and entered_at <= {moment:DateTime64(3, 'UTC')} - toIntervalDay({window_days:UInt32})
    ),
    first_copies as
    (
        select
            api_name,
            action_id,
            min(received_at) >= {moment:DateTime64(3, 'UTC')} as is_late,
            countIf(outcome = 'retracted') > 0 as is_retracted,
            any(user_domain) as of_domain,
            any(user_id) as of_user,
            min(converted_at) as happened_at
        from conversion_outcomes
        where customer_id = {customer_id:String}
            and event_id = {event_id:String}
            and converted_at < {moment:DateTime64(3, 'UTC')}
        group by api_name, action_id
    ),
    adjusted as
    (
        select
            api_name,
            action_id,
            argMaxIf(kind, (adjusted_at, received_at, ingest_id), received_at < {moment:DateTime64(3, 'UTC')}) = 'retract'
                and countIf(received_at < {moment:DateTime64(3, 'UTC')}) > 0 as was_retracted
        from adjustments
        where customer_id = {customer_id:String}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
        group by api_name, action_id
        having max(received_at) >= {moment:DateTime64(3, 'UTC')}
    ),
    counting as
    (
        select compared.variation_id as entered_with, attributions.api_name as api_name, attributions.action_id as action_id
        from attributions
        inner join compared
            on attributions.visitor_id = compared.visitor_id
        where attributions.customer_id = {customer_id:String}
            and attributions.optimization_id = {optimization_id:String}
            and attributions.event_id = {event_id:String}
            and attributions.converted_at >= compared.entered_at
            and attributions.converted_at < compared.until
    ),
    taken_back as
    (
        select any(compared.variation_id) as entered_with, first_copies.api_name as api_name, first_copies.action_id as action_id
        from first_copies
        inner join adjusted
            on first_copies.api_name = adjusted.api_name
            and first_copies.action_id = adjusted.action_id
        inner join (select user_domain, user_id, visitor_id from identifies where customer_id = {customer_id:String} group by user_domain, user_id, visitor_id) as links
            on first_copies.of_domain = links.user_domain
            and first_copies.of_user = links.user_id
        inner join compared
            on links.visitor_id = compared.visitor_id
        where is_retracted
            and not is_late
            and not was_retracted
            and happened_at >= compared.entered_at
            and happened_at < compared.until
        group by api_name, action_id
    )
select
    entered_with as variation_id,
    sum(late) as late,
    sum(brought_back) as brought_back,
    sum(restated) as restated,
    sum(retracted) as retracted
from
(
    select
        entered_with,
        toUInt64(is_late) as late,
        toUInt64(not is_late and adjusted.action_id != '' and was_retracted) as brought_back,
        toUInt64(not is_late and adjusted.action_id != '' and not was_retracted) as restated,
        toUInt64(0) as retracted
    from counting
    inner join first_copies
        on counting.api_name = first_copies.api_name
        and counting.action_id = first_copies.action_id
    left join adjusted
        on counting.api_name = adjusted.api_name
        and counting.action_id = adjusted.action_id
    union all
    select entered_with, 0, 0, 0, 1
    from taken_back
)
group by variation_id
order by variation_id
