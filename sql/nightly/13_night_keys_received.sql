-- Purpose:    List the conversions that were received since the last run.
-- Reads:      conversions
-- Writes:     night_keys
-- Grain:      one row per (account, name, action id)
-- Parameters: full, forced, from_day, to_day, visible_since, low, high
-- Notes:      By key, so that all copies of one are decided together (R5). A run over a range takes all of its days.
insert into night_keys (customer_id, api_name, action_id, cause)
select customer_id, api_name, action_id, if(max((inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})), 'conversion', 'rerun')
from conversions
where {full:UInt8} = 0
    and received_at < {high:DateTime64(3, 'UTC')}
    and
    (
        (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
        or {forced:UInt8} = 1 and toDate(action_at) between {from_day:Date} and {to_day:Date}
    )
group by customer_id, api_name, action_id
