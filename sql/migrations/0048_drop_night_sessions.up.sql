drop table if exists night_sessions
