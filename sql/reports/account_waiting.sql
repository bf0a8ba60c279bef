-- Purpose:    Conversions of an account that the next run decides.
-- Reads:      conversions
-- Grain:      one row
-- Parameters: customer_id, cutoff
-- Notes:      Rows, not events: copies of one ingest_id are counted each.
select count() as conversions
from conversions
where customer_id = {customer_id:String}
    and received_at >= {cutoff:DateTime64(3, 'UTC')}
