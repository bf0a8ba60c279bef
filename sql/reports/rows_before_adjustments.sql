-- Purpose:    Whether there is any row of adjustments in a range of days that became visible before an import.
-- Reads:      adjustments
-- Grain:      one row
-- Parameters: from_day, to_day, since
select exists
(
    select 1
    from adjustments
    where toDate(adjusted_at) between {from_day:Date} and {to_day:Date}
        and inserted_at < {since:DateTime64(3, 'UTC')}
)
