-- Purpose:    Follow the sessions of the stretches that reach the cap, one further each time.
-- Reads:      night_long_moments, night_long_starts
-- Writes:     night_long_starts
-- Grain:      one row per session
-- Parameters: hop
-- Notes:      Hop 0 is the start of the stretch. Repeated until nothing is added.
insert into night_long_starts (customer_id, visitor_id, stretch_at, start_at, hop)
select distinct customer_id, visitor_id, stretch_at, if({hop:UInt32} = 0, at, next_at), {hop:UInt32}
from night_long_moments
where {hop:UInt32} = 0 and at = stretch_at
    or {hop:UInt32} > 0
        and next_at > at
        and (customer_id, visitor_id, stretch_at, at) in
        (
            select customer_id, visitor_id, stretch_at, start_at
            from night_long_starts
            where hop + 1 = {hop:UInt32}
        )
