-- Merges take a sixth of the processors' time of a night when they begin beside it. The parts of a day and version, a
-- few dozen at most, are merged into one when they are an hour old, by which time readers have long seen them.
alter table exposures_versions
    modify setting min_parts_to_merge_at_once = 100, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1
