-- The end of a chain moves with each day that it goes on, and its sessions before need not be written anew for that.
alter table sessions_versions drop column if exists chain_ended_at
