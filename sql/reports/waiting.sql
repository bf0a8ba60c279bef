-- Purpose:    Rows that the next run takes into account for the first time.
-- Reads:      client_events, conversions, adjustments
-- Grain:      one row
-- Parameters: cutoff
-- Notes:      Rows, not events: copies of one ingest_id are counted each.
select
    (select count() from client_events where received_at >= {cutoff:DateTime64(3, 'UTC')}) as client_events,
    (select count() from conversions where received_at >= {cutoff:DateTime64(3, 'UTC')}) as conversions,
    (select count() from adjustments where received_at >= {cutoff:DateTime64(3, 'UTC')}) as adjustments
