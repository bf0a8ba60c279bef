-- What a late event can move is the chain that it falls into, whole.
alter table sessions_versions
    add column if not exists chain_started_at DateTime64(3, 'UTC') comment 'First event of the run of events without a gap that the session is part of',
    add column if not exists chain_ended_at DateTime64(3, 'UTC') comment 'Last event of it'
