-- Purpose:    Whether there is any row of conversions in a range of days that became visible before an import.
-- Reads:      conversions
-- Grain:      one row
-- Parameters: from_day, to_day, since
select exists
(
    select 1
    from conversions
    where toDate(action_at) between {from_day:Date} and {to_day:Date}
        and inserted_at < {since:DateTime64(3, 'UTC')}
)
