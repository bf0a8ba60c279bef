-- Purpose:    The visitors known to be a user, since when, and what they did last before a moment: their
--             last view, and the session that was the last to start by then.
-- Reads:      client_events, sessions
-- Grain:      one row per visitor
-- Parameters: customer_id, user_domain, user_id, action_at, cutoff
-- Notes:      has_view and has_session tell a time from none at all.
with
    links as
    (
        select visitor_id, min(received_at) as linked_at
        from client_events
        where customer_id = {customer_id:String}
            and type = 'identify'
            and user_domain = {user_domain:String}
            and user_id = {user_id:String}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
        group by visitor_id
    ),
    last_views as
    (
        select visitor_id, max(occurred_at) as viewed_at
        from client_events
        where customer_id = {customer_id:String}
            and type = 'view'
            and visitor_id in (select visitor_id from links)
            and occurred_at < {action_at:DateTime64(3, 'UTC')}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
        group by visitor_id
    ),
    last_sessions as
    (
        select
            visitor_id,
            argMax(expires_at, started_at) as session_expired_at,
            max(started_at) as session_started_at
        from sessions
        where customer_id = {customer_id:String}
            and visitor_id in (select visitor_id from links)
            and started_at <= {action_at:DateTime64(3, 'UTC')}
        group by visitor_id
    )
select
    links.visitor_id as visitor_id,
    links.linked_at as linked_at,
    last_views.visitor_id != '' as has_view,
    last_views.viewed_at as viewed_at,
    last_sessions.visitor_id != '' as has_session,
    last_sessions.session_started_at as session_started_at,
    last_sessions.session_expired_at as session_expires_at
from links
left join last_views on links.visitor_id = last_views.visitor_id
left join last_sessions on links.visitor_id = last_sessions.visitor_id
order by linked_at, visitor_id
