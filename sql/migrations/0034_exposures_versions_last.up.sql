alter table exposures_versions
    add column if not exists last_viewed_at DateTime64(3, 'UTC') comment 'Last view of the day'
