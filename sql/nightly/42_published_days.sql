-- Purpose:    Publish the staged days: from this insert on readers see the version (R8).
-- Reads:      night_versions
-- Writes:     published_days
-- Runs:       home
-- Grain:      one row per table and day published
-- Parameters: cutoff, version, run_id, fence, register
-- Notes:      All days of all tables at once: in one part, whatever the server's profile says. Nothing if another run has taken the lock over: there is a later one
--             than fence in register then.
insert into published_days (table_name, day, version, run_id, cutoff)
select table_name, day, version, {run_id:String}, {cutoff:DateTime64(3, 'UTC')}
from night_versions
where version = {version:UInt64}
    and not exists
    (
        select 1 from {register:Identifier}
        where {fence:String} != '' and startsWith(name, 'lock_run_') and name > {fence:String}
    )
settings max_threads = 1, max_insert_threads = 1, min_insert_block_size_rows = 1000000000, min_insert_block_size_bytes = 0
