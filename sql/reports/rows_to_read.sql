-- Purpose:    Estimate how many client events a run will read, to cut slices that bound its memory.
-- Reads:      client_events, night_days
-- Grain:      one row
-- Parameters: whole_from, whole_to, events_per_visitor_day
-- Notes:      Days computed whole are counted by the primary index. Of listed visitor-days a number is assumed:
--             counting them would cost as much as reading them.
select
    (
        select count()
        from client_events
        where toDate(occurred_at) between {whole_from:Date} and {whole_to:Date}
    )
    + {events_per_visitor_day:UInt32} * (select count() from night_days) as rows
