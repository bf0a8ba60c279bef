drop table if exists night_versions
