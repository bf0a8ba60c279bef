-- Sessions are staged where they belong at once.
drop table if exists night_stretches
