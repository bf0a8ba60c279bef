-- The table identifies, which knows when each identify happened, has taken its place.
drop table if exists night_identities sync
