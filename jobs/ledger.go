package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/warehouse"
)

// States of a run in the ledger.
const (
	StateRunning = "running"
	StateDone    = "done"
	StateFailed  = "failed"
	StateCovered = "covered" // a midnight that a later run made up for (R8)
	StateDryRun  = "dry-run" // computed and compared, not published
)

// Modes of a run.
const (
	ModeFull        = "full"        // all days, from all rows
	ModeIncremental = "incremental" // what can have changed since the last run
	ModeRange       = "range"       // that, and the days asked for
	ModeErasure     = "erasure"     // that, and the days of a person whose rows were deleted
)

// Record is a run as the ledger has it: a row of the table runs.
type Record struct {
	RunID      string     `ch:"run_id"`
	Revision   uint8      `ch:"revision"`
	Cutoff     time.Time  `ch:"cutoff"`
	StartedAt  time.Time  `ch:"started_at"`
	FinishedAt *time.Time `ch:"finished_at"`
	State      string     `ch:"state"`
	FromDay    *time.Time `ch:"from_day"`
	ToDay      *time.Time `ch:"to_day"`
	Days       uint32     `ch:"days"`
	Rows       uint64     `ch:"rows"`
	Error      string     `ch:"error"`
	Version    uint64     `ch:"version"`
	Mode       string     `ch:"mode"`
	ReadAt     *time.Time `ch:"read_at"`
	Epoch      string     `ch:"epoch"`

	steps []Step
}

// recordColumns are what a Record is selected by.
const recordColumns = `run_id, revision, cutoff, started_at, finished_at, state, from_day, to_day, days, rows, error, version,
	mode, read_at, epoch`

// note adds a step to what the ledger will say of the run.
func (r *Record) note(step string, started time.Time, took time.Duration, rows uint64) {
	r.steps = append(r.steps, Step{RunID: r.RunID, Step: step, StartedAt: started, DurationMS: uint64(took.Milliseconds()), Rows: rows})
}

// Step is a statement of a run: a row of run_steps.
type Step struct {
	RunID      string    `ch:"run_id"`
	Step       string    `ch:"step"`
	StartedAt  time.Time `ch:"started_at"`
	DurationMS uint64    `ch:"duration_ms"`
	Rows       uint64    `ch:"rows"`
}

// since is what runs before have made sure of: where the next one goes on.
type since struct {
	readAt   time.Time   // rows visible before, on ClickHouse's clock, were read
	versions []uint64    // of runs whose names may be in the published tables
	cutoffs  []time.Time // that rows in the published tables may be at
	known    bool        // otherwise all days must be computed
}

// after reports whether any of it lies in the future, by our clock or ClickHouse's.
func (s since) after(ours, clickHouses time.Time) bool {
	return inFuture(s.readAt, clickHouses) || slices.ContainsFunc(s.cutoffs, func(cutoff time.Time) bool { return inFuture(cutoff, ours) })
}

// ledger remembers what runs did.
type ledger struct{ db *warehouse.DB }

func (l ledger) write(ctx context.Context, records ...Record) error {
	if err := warehouse.InsertStructs(ctx, l.db, "run_log", records); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

// lastVersion is the newest version of all runs.
func (l ledger) lastVersion(ctx context.Context) (last uint64, err error) {
	err = l.db.Row(ctx, "select greatest((select max(version) from run_log), (select max(version) from published_days))", nil, &last)
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	return last, nil
}

// begin notes that a run has started, under a version that no run has had, and returns
// where it goes on. The generation of the run's lock is such a version, also where another run
// takes the lock over without an end of this one; 0 where that can't be.
func (l ledger) begin(ctx context.Context, req Request, generation uint64, now time.Time) (Record, since, error) {
	last, err := l.lastVersion(ctx)
	if err != nil {
		return Record{}, since{}, err
	}
	var readAt time.Time
	if err := l.db.Row(ctx, "select now64(3, 'UTC')", nil, &readAt); err != nil {
		return Record{}, since{}, fmt.Errorf("read the ledger: %w", err)
	}
	epoch, err := l.epoch(ctx)
	if err != nil {
		return Record{}, since{}, err
	}
	from, err := l.since(ctx, epoch)
	if err != nil {
		return Record{}, since{}, err
	}
	if from.after(now, readAt) {
		from.known = false // a clock was wrong: what is new since then can't be known
	}
	if req.erase != nil {
		if err := req.erase(ctx); err != nil {
			return Record{}, since{}, err
		}
		if epoch, err = l.epoch(ctx); err != nil {
			return Record{}, since{}, err
		}
	}
	record := Record{
		RunID: newRunID(), Revision: 1, Cutoff: req.Cutoff, StartedAt: now, State: StateRunning,
		FromDay: req.From, ToDay: req.To, Version: max(last+1, generation), Mode: ModeIncremental, ReadAt: &readAt, Epoch: epoch,
	}
	switch {
	case req.Full || !from.known:
		record.Mode = ModeFull
	case req.erase != nil:
		record.Mode = ModeErasure
	case req.From != nil:
		record.Mode = ModeRange
	}
	return record, from, l.write(ctx, record)
}

// epoch differs where what earlier runs kept can't be relied on: rows were deleted, or a rule or what is kept has changed.
func (l ledger) epoch(ctx context.Context) (string, error) {
	deletions, err := l.db.DeletionEpoch(ctx)
	return fmt.Sprintf("%s.%d.%s", deletions, memory, rules()), err
}

// since looks for the last run that ended well. Later ones that were killed may have published before,
// at their cutoffs.
func (l ledger) since(ctx context.Context, epoch string) (since, error) {
	var runs []Record
	err := l.db.Select(ctx, &runs, `select `+recordColumns+` from run_log final
		where version > 0 and read_at is not null
			and (state = 'done' or version in (select version from published_days))
			and version >= (select max(version) from run_log final where state = 'done' and read_at is not null)
		order by version`, nil)
	if err != nil {
		return since{}, fmt.Errorf("read the ledger: %w", err)
	}
	if len(runs) == 0 || runs[0].State != StateDone {
		return since{versions: []uint64{}}, nil
	}
	s := since{readAt: runs[0].ReadAt.UTC(), known: runs[0].Epoch == epoch}
	for _, run := range runs {
		s.versions = append(s.versions, run.Version)
		s.cutoffs = append(s.cutoffs, run.Cutoff.UTC())
	}
	return s, nil
}

func newRunID() string { return uuid.Must(uuid.NewV7()).String() }

// end notes how a run ended, with the midnights that it covered, in one insert.
func (l ledger) end(ctx context.Context, record *Record, dryRun bool, now time.Time, runErr error, covered []Record) error {
	record.Revision++
	record.FinishedAt = &now
	switch {
	case runErr != nil:
		record.State, record.Error = StateFailed, runErr.Error()
	case dryRun:
		record.State = StateDryRun
	default:
		record.State = StateDone
	}
	if err := warehouse.InsertStructs(ctx, l.db, "run_steps", record.steps); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return l.write(ctx, append(covered, *record)...)
}

// closeKilled marks runs that never ended as failed. Whoever holds the run lock
// knows that they are dead.
func (l ledger) closeKilled(ctx context.Context, now time.Time) error {
	var killed []Record
	err := l.db.Select(ctx, &killed, `select `+recordColumns+`
		from run_log final where state = 'running'`, nil)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	for i := range killed {
		killed[i].Revision++
		killed[i].FinishedAt = &now
		killed[i].State = StateFailed
		killed[i].Error = "killed before it ended; what it had published stays, the next run repairs the rest"
	}
	return l.write(ctx, killed...)
}

// published returns the cutoff that the published tables are at: that of the last run that ended well,
// or was killed after it had published. ok is false before the first one.
func (l ledger) published(ctx context.Context) (cutoff time.Time, ok bool, err error) {
	var runs uint64
	err = l.db.Row(ctx, `select count(), argMax(cutoff, version) from run_log final
		where state = 'done' or version > 0 and version in (select version from published_days)`, nil, &runs, &cutoff)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read the ledger: %w", err)
	}
	return cutoff.UTC(), runs > 0, nil
}

// covered returns a row for every midnight between two cutoffs, both exclusive, that
// no run was at (R8).
func (l ledger) covered(ctx context.Context, after, before, now time.Time) ([]Record, error) {
	var known []struct {
		Cutoff time.Time `ch:"cutoff"`
	}
	err := l.db.Select(ctx, &known, "select distinct cutoff from run_log final where state in ('done', 'covered')", nil)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	had := map[int64]bool{}
	for _, k := range known {
		had[k.Cutoff.UnixMilli()] = true
	}
	var records []Record
	for midnight := LastMidnight(after).Add(day); midnight.Before(before); midnight = midnight.Add(day) {
		if !had[midnight.UnixMilli()] {
			records = append(records, Record{
				RunID: newRunID(), Revision: 1, Cutoff: midnight, StartedAt: now, FinishedAt: &now, State: StateCovered,
			})
		}
	}
	return records, nil
}

// Recent returns the last runs, the newest first.
func Recent(ctx context.Context, db *warehouse.DB, limit int) ([]Record, error) {
	var records []Record
	err := db.Select(ctx, &records, `select `+recordColumns+`
		from run_log final order by run_id desc limit {limit:UInt32}`, warehouse.Params{"limit": limit})
	return records, err
}

// Find returns a run by its id.
func Find(ctx context.Context, db *warehouse.DB, runID string) (record Record, found bool, err error) {
	var records []Record
	err = db.Select(ctx, &records, `select `+recordColumns+`
		from run_log final where run_id = {run_id:String}`, warehouse.Params{"run_id": runID})
	if err != nil || len(records) == 0 {
		return Record{}, false, err
	}
	return records[0], true, nil
}

const (
	day = 24 * time.Hour

	// memory numbers what runs leave for the next one (identifies, parts of sessions). A run after an
	// upgrade that has changed it is a full one.
	memory = 3
)

// LastMidnight returns the newest midnight UTC that is not after t.
func LastMidnight(t time.Time) time.Time { return t.UTC().Truncate(day) }

// Published returns the cutoff that the published tables are at, and the version of the run that brought them there, by which
// run_rules has the rules as it saw them. Both are zero before the first run.
func Published(ctx context.Context, db *warehouse.DB) (cutoff time.Time, version uint64, err error) {
	var runs uint64
	err = db.Row(ctx, `select count(), argMax(cutoff, run_log.version), max(run_log.version) from run_log final
		where version > 0 and (state = 'done' or version in (select version from published_days))`, nil, &runs, &cutoff, &version)
	if err != nil || runs == 0 {
		return time.Time{}, 0, err
	}
	return cutoff.UTC(), version, nil
}

// PublishedCutoff returns the cutoff that the published tables are at, the zero time
// before the first run.
func PublishedCutoff(ctx context.Context, db *warehouse.DB) (time.Time, error) {
	cutoff, any, err := ledger{db}.published(ctx)
	if !any {
		return time.Time{}, err
	}
	return cutoff, err
}
