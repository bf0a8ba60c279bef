-- Which pass drew a visitor-day in: the next one goes on from those alone.
alter table night_days
    add column if not exists hop UInt32 comment 'Chains between it and a day listed first'
