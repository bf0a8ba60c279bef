drop table if exists night_events
