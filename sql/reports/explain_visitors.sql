-- Purpose:    The visitors known to be a user, since when, and what they did around a moment: their last view before
--             it, the first one at or after it, and the sessions of both.
-- Reads:      client_events, sessions
-- Grain:      one row per visitor
-- Parameters: customer_id, user_domain, user_id, action_at, cutoff, days_after
-- Notes:      has_… distinguish a time from none at all. session_… is the session that was the last to start by the
--             moment, next_session_… the one that the view after it lies in.
with
    links as
    (
        select visitor_id, min(occurred_at) as linked_at, argMin(received_at, occurred_at) as identify_received_at
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
    next_views as
    (
        select visitor_id, min(occurred_at) as next_viewed_at
        from client_events
        where customer_id = {customer_id:String}
            and type = 'view'
            and visitor_id in (select visitor_id from links)
            and occurred_at >= {action_at:DateTime64(3, 'UTC')}
            and toDate(occurred_at) <= toDate({action_at:DateTime64(3, 'UTC')}) + {days_after:UInt16}
            and received_at < {cutoff:DateTime64(3, 'UTC')}
        group by visitor_id
    ),
    sessions_of_links as
    (
        select visitor_id, started_at, expires_at
        from sessions
        where customer_id = {customer_id:String}
            and visitor_id in (select visitor_id from links)
            and session_day <= toDate({action_at:DateTime64(3, 'UTC')}) + {days_after:UInt16}
    ),
    last_sessions as
    (
        select
            visitor_id,
            argMax(expires_at, started_at) as session_expired_at,
            max(started_at) as session_started_at
        from sessions_of_links
        where started_at <= {action_at:DateTime64(3, 'UTC')}
        group by visitor_id
    ),
    next_sessions as
    (
        select next_views.visitor_id as visitor_id, sessions_of_links.expires_at as next_session_expired_at
        from next_views
        asof inner join sessions_of_links
            on next_views.visitor_id = sessions_of_links.visitor_id
            and next_views.next_viewed_at >= sessions_of_links.started_at
    )
select
    links.visitor_id as visitor_id,
    links.linked_at as linked_at,
    links.identify_received_at as identify_received_at,
    last_views.visitor_id != '' as has_view,
    last_views.viewed_at as viewed_at,
    last_sessions.visitor_id != '' as has_session,
    last_sessions.session_started_at as session_started_at,
    last_sessions.session_expired_at as session_expires_at,
    next_views.visitor_id != '' as has_next_view,
    next_views.next_viewed_at as next_viewed_at,
    next_sessions.next_session_expired_at as next_session_expires_at
from links
left join last_views on links.visitor_id = last_views.visitor_id
left join last_sessions on links.visitor_id = last_sessions.visitor_id
left join next_views on links.visitor_id = next_views.visitor_id
left join next_sessions on links.visitor_id = next_sessions.visitor_id
order by linked_at, visitor_id
