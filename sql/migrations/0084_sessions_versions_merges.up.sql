-- The parts of a night are merged into one an hour later: see exposures_versions.
alter table sessions_versions
    modify setting min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1
