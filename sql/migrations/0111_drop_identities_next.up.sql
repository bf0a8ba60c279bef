-- The table identifies, which knows when each identify happened, has taken its place.
drop table if exists identities_next sync
