-- A day of which only conversions changed keeps its sessions and exposures.
alter table published_days
    add column if not exists events_version UInt64 default version comment 'Version of sessions and exposures',
    add column if not exists conversions_version UInt64 default version comment 'Version of attributions and outcomes'
