-- Purpose:    The first run that published each of some moments of receipt and of becoming visible.
-- Reads:      run_log
-- Grain:      one row per moment that a run has taken into account
-- Parameters: received, visible
-- Notes:      The two lists belong together, item by item. A run takes what was received before its cutoff and was visible when it read.
select
    moment.1 as place,
    argMin(runs.run_id, version) as first_run_id,
    argMin(runs.cutoff, version) as first_cutoff
from
(
    select run_id, cutoff, read_at, version
    from run_log final
    where state = 'done' and version > 0
) as runs
array join arrayZip(arrayEnumerate({received:Array(DateTime64(3, 'UTC'))}), {received:Array(DateTime64(3, 'UTC'))}, {visible:Array(DateTime64(3, 'UTC'))}) as moment
where moment.2 < runs.cutoff and moment.3 < read_at
group by place
order by place
