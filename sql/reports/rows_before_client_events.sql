-- Purpose:    Whether there is any row of client_events in a range of days that became visible before an import.
-- Reads:      client_events
-- Grain:      one row
-- Parameters: from_day, to_day, since
select exists
(
    select 1
    from client_events
    where toDate(occurred_at) between {from_day:Date} and {to_day:Date}
        and inserted_at < {since:DateTime64(3, 'UTC')}
)
