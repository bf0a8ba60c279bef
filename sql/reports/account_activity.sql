-- Purpose:    What has reached ClickHouse of an account since a moment: the proof that a site is connected.
-- Reads:      client_events, conversions
-- Grain:      one row
-- Parameters: customer_id, since
-- Notes:      Rows, not events: copies of one ingest_id are counted each. The times are 1970 where there is none.
with
    browsers as
    (
        select
            countIf(type = 'view') as views,
            countIf(type = 'identify') as identifies,
            max(received_at) as last_client_event_at
        from client_events
        where customer_id = {customer_id:String}
            and received_at >= {since:DateTime64(3, 'UTC')}
    ),
    backends as
    (
        select count() as conversions, max(received_at) as last_conversion_at
        from conversions
        where customer_id = {customer_id:String}
            and received_at >= {since:DateTime64(3, 'UTC')}
    )
select views, identifies, last_client_event_at, conversions, last_conversion_at
from browsers
cross join backends
