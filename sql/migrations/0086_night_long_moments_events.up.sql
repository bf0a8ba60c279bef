-- One row per client event: each session's start is looked up, and no longer known from everywhere.
alter table night_long_moments
    drop column if exists events,
    drop column if exists views,
    drop column if exists next_at,
    add column if not exists is_view Bool
