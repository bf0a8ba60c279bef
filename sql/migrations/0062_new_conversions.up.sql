-- The conversions that a run has to look at: see new_client_events.
create or replace view new_conversions
comment 'Conversions new to a run: new_conversions(visible_since = …, low = …, high = …)'
as select customer_id, api_name, action_id
from conversions
where received_at < {high:DateTime64(3, 'UTC')}
    and (inserted_at >= {visible_since:DateTime64(3, 'UTC')} or received_at >= {low:DateTime64(3, 'UTC')})
