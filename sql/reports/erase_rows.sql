-- Purpose:    What an erasure deletes, by table, and on how many days.
-- Reads:      erased_days, erased_keys, adjustments, conversions, identifies, erased_visitors, erased_users
-- Grain:      one row
-- Parameters: none
select
    (select sum(rows) from erased_days) as client_events,
    (select sum(rows) from erased_keys where is_deleted = 1) as conversions,
    (
        select count()
        from adjustments
        where (customer_id, api_name, action_id) in (select customer_id, api_name, action_id from erased_keys where is_deleted = 1)
            and (customer_id, api_name, action_id) not in
            (
                select customer_id, api_name, action_id
                from conversions
                where action_id in (select action_id from erased_keys)
                    and (customer_id, user_domain, user_id) not in (select customer_id, user_domain, user_id from erased_users)
            )
    ) as adjustments,
    (
        select uniqExact(customer_id, user_domain, user_id, visitor_id)
        from identifies
        where (customer_id, visitor_id) in (select customer_id, visitor_id from erased_visitors where is_whole = 1)
            or (customer_id, user_domain, user_id) in (select customer_id, user_domain, user_id from erased_users)
    ) as links,
    (select count() from erased_visitors where is_whole = 1) as visitors,
    (
        select uniqExact(day)
        from (select day from erased_days union all select day from erased_keys where is_deleted = 1)
    ) as days
