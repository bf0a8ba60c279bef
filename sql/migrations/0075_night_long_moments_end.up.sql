alter table night_long_moments drop column if exists stretch_end
