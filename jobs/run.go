package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/warehouse"
)

// Runner executes runs on one ClickHouse.
type Runner struct {
	db  *warehouse.DB
	now func() time.Time
	log *slog.Logger

	// Progress, when set, is called as each step begins.
	Progress func(Progress)

	// Memory bounds what the statements of a run may take, in bytes: half of it each, as two
	// are under way most of the time. 0 leaves it to ClickHouse.
	Memory uint64

	overlap      time.Duration
	sliceRows    uint64
	smallRows    uint64
	manyVisitors int
}

// visibilityOverlap is for how long before the last run a row may have been under way into ClickHouse,
// and by how much clocks may differ.
const visibilityOverlap = 10 * time.Minute

// manyVisitors make a user crowded: of its conversions those visitors are found first who saw something last.
const manyVisitors = 20

// NewRunner returns a runner; now is the clock for the ledger's times and for what
// is the future, never for what a run computes.
func NewRunner(db *warehouse.DB, now func() time.Time, log *slog.Logger) *Runner {
	return &Runner{
		db: db, now: now, log: log,
		overlap: visibilityOverlap, sliceRows: sliceRows, smallRows: smallRows, manyVisitors: manyVisitors,
	}
}

// Request says what to compute.
type Request struct {
	// Cutoff: only rows received before it take part. The zero Cutoff means the last
	// midnight, or the last published cutoff where that is later; with a range, the
	// last published one.
	Cutoff time.Time
	// From and To are the first and the last day of a range, both inclusive, UTC: its days are computed
	// and published whether they have changed or not. Nil for no range.
	From, To *time.Time
	// Full computes all days from all rows, not only what can have changed.
	Full bool
	// DryRun computes and compares, and publishes nothing.
	DryRun bool
	// Once does nothing but return ErrPublished where that cutoff, or a later one, is published: another service was faster.
	Once bool

	// erase deletes the rows of a person once the run knows where it goes on; nil for other runs.
	erase func(context.Context) error
}

// Errors about the request itself, for which the caller is to blame.
var (
	ErrFutureCutoff    = errors.New("the cutoff lies in the future")
	ErrPublished       = errors.New("the cutoff is published already")
	ErrNothingYet      = refuse.Conflictf("nothing has been published yet, so there is no cutoff to compute days at; run once without a range first")
	ErrCutoffWithRange = refuse.Invalidf("a cutoff can't be given with a range: those days are computed at the last published cutoff")
)

// Run brings all days up to date with the cutoff and publishes those that changed, and those asked for.
// It returns what the ledger says of it. Runs wait for each other.
func (r *Runner) Run(ctx context.Context, req Request) (Record, error) {
	l := ledger{r.db}
	last, err := l.lastVersion(ctx)
	if err != nil {
		return Record{}, err
	}
	held, err := r.db.Lock(ctx, "run", last+1, func() { r.log.Info("another run is under way, waiting for its end") })
	if err != nil {
		return Record{}, err
	}
	defer held.Release()
	return r.runUnder(held, req)
}

// runUnder is Run while the lock is held.
func (r *Runner) runUnder(held *warehouse.Held, req Request) (Record, error) {
	l := ledger{r.db}
	if err := r.db.CheckProfile(held.Context); err != nil {
		return Record{}, err
	}
	r.db.LookAgain()
	if err := r.checkTables(held.Context); err != nil {
		return Record{}, err
	}
	ctx, stop := r.db.Watched(held.Context)
	defer stop()
	if err := l.closeKilled(ctx, r.clock()); err != nil {
		return Record{}, err
	}
	before, any, err := l.published(ctx)
	if err != nil {
		return Record{}, err
	}
	ahead := any && inFuture(before, r.clock())
	if ahead {
		r.log.Warn("the published cutoff lies in the future, so a clock was wrong; it is taken for none, and all days are computed", "cutoff", before)
		any = false
	}
	if req.Once && any && !before.Before(req.Cutoff) {
		return Record{}, ErrPublished
	}
	if ahead && req.From != nil {
		return Record{}, refuse.Conflictf("the published cutoff %s lies in the future, so a clock was wrong; run once without a range first", before.Format(time.RFC3339)).Because(ErrNothingYet)
	}
	if req, err = r.complete(req, before, any); err != nil {
		return Record{}, err
	}
	record, since, err := l.begin(ctx, req, held.Generation, r.clock())
	if err != nil {
		return Record{}, err
	}
	runErr := r.compute(ctx, req, since, &record, held)
	if cause := context.Cause(ctx); runErr != nil && held.Context.Err() == nil && cause != nil {
		runErr = cause // and not what came of it
	}
	if runErr != nil && ctx.Err() == nil && errors.Is(held.Check(ctx), warehouse.ErrLockLost) || errors.Is(held.Lost(), warehouse.ErrLockLost) {
		runErr = cmp.Or(held.Lost(), warehouse.ErrLockLost) // and not what came of it
	}
	if runErr == nil && !req.DryRun {
		runErr = r.noteResults(ctx, &record)
	}
	var made []Record
	if runErr == nil && !req.DryRun && any {
		made, runErr = l.covered(ctx, before, req.Cutoff, r.clock())
	}
	// How it ended is noted even when ctx is what ended it.
	closing, cancel := context.WithTimeout(warehouse.Unlocked(ctx), 30*time.Second)
	defer cancel()
	return record, errors.Join(runErr, l.end(closing, &record, req.DryRun, r.clock(), runErr, made))
}

// checkTables makes sure that the rows of visitors are where they are looked for, and all of them.
func (r *Runner) checkTables(ctx context.Context) error {
	if err := r.db.Whole(ctx); err != nil {
		return err
	}
	return r.db.CheckShards(ctx)
}

func (r *Runner) clock() time.Time { return r.now().UTC().Truncate(time.Millisecond) }

// complete fills in the cutoff and refuses what makes no sense.
func (r *Runner) complete(req Request, published time.Time, any bool) (Request, error) {
	now := r.clock()
	switch {
	case req.From != nil && !req.Cutoff.IsZero():
		return req, ErrCutoffWithRange
	case req.From != nil && !any:
		return req, ErrNothingYet
	case req.From != nil:
		req.Cutoff = published
	case req.Cutoff.IsZero():
		req.Cutoff = LastMidnight(now)
		if any && published.After(req.Cutoff) {
			req.Cutoff = published
		}
	}
	given := !req.Cutoff.Equal(published)
	req.Cutoff = req.Cutoff.UTC().Truncate(time.Millisecond)
	if given && req.Cutoff.After(now) {
		return req, refuse.Invalidf("the cutoff %s lies in the future, now is %s", req.Cutoff.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano)).Because(ErrFutureCutoff)
	}
	return req, nil
}

// inFuture reports whether a cutoff of the ledger lies further ahead than clocks may differ by: a
// clock that made it was wrong.
func inFuture(cutoff, now time.Time) bool { return cutoff.After(now.Add(ClocksApart)) }

// compute stages, checks and publishes what has changed since the runs before.
func (r *Runner) compute(ctx context.Context, req Request, since since, record *Record, held *warehouse.Held) error {
	pace, err := newPace(ctx, r.db, record)
	if err != nil {
		return err
	}
	ctx = warehouse.Bounded(ctx, r.Memory/2)
	started, begun := r.clock(), time.Now()
	drop, err := r.sweep(ctx, since)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	pace.passedBy("sweep", started, time.Since(begun), 0)
	var dropping errgroup.Group
	dropping.Go(drop)
	defer func() { _ = dropping.Wait() }() // no run ends before
	if !since.known {
		// What earlier runs kept can't be relied on: rows of people who were to be forgotten may be in it.
		if err := empty(ctx, r.db, "identifies"); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	n := &night{
		Runner: r, req: req, record: record, pace: pace, tables: sweptTables(), full: record.Mode == ModeFull,
		params: r.params(req, since, record).With("fence", held.Fence).With("register", held.Register),
	}
	anything, err := n.stage(ctx)
	if err != nil || !anything || req.DryRun {
		return err
	}
	if err := dropping.Wait(); err != nil {
		return fmt.Errorf("drop the versions that were replaced: %w", err)
	}
	if err := publication(ctx, n); err != nil {
		return err
	}
	return held.Check(ctx) // whether it was lost before the publication or after, the next run sees
}

// params are what the statements of a run are given. A full run takes all rows for new.
func (r *Runner) params(req Request, since since, record *Record) warehouse.Params {
	low, high := req.Cutoff, req.Cutoff
	for _, cutoff := range since.cutoffs {
		if cutoff.Before(low) {
			low = cutoff
		}
		if cutoff.After(high) {
			high = cutoff
		}
	}
	visibleSince := since.readAt.Add(-r.overlap)
	if record.Mode == ModeFull {
		low, visibleSince = time.UnixMilli(0), time.UnixMilli(0)
	}
	from, to := time.UnixMilli(0).Add(day), time.UnixMilli(0) // no day
	if req.From != nil {
		from, to = *req.From, *req.To
	}
	return warehouse.Params{
		"cutoff": warehouse.Time(req.Cutoff), "version": record.Version, "run_id": record.RunID, "settled_before": warehouse.Time(record.ReadAt.Add(-r.overlap)),
		"full": flag(record.Mode == ModeFull), "range_from": warehouse.Day(from), "range_to": warehouse.Day(to),
		"low": warehouse.Time(low), "high": warehouse.Time(high), "visible_since": warehouse.Time(visibleSince), "names_before": since.versions,
		"session_gap_minutes": int(SessionGap.Minutes()), "session_cap_hours": int(SessionCap.Hours()),
		"many_visitors": r.manyVisitors, "view_lookback_days": int(ViewLookback / day), "clocks_apart_seconds": int(ClocksApart.Seconds()),
	}
}

// sweep empties the working set, and lists every version that readers don't see: those of
// killed runs, and those that were replaced before this run. What it returns drops them;
// the steps of the run need not wait for that.
func (r *Runner) sweep(ctx context.Context, since since) (drop func() error, err error) {
	var sweeping errgroup.Group
	sweeping.SetLimit(4) // others use the connections, too
	for _, table := range working {
		sweeping.Go(func() error { return empty(ctx, r.db, table) })
	}
	var unseen sync.Map // by table and where it lies
	for _, table := range published {
		sweeping.Go(func() error {
			return r.db.Holding(ctx, table, func(ctx context.Context, db *warehouse.DB) error {
				partitions, err := unseenIn(ctx, db, table)
				unseen.Store(placed{db, table}, partitions)
				return err
			})
		})
	}
	if err := sweeping.Wait(); err != nil {
		return nil, err
	}
	for _, table := range []string{"run_names", "run_rules"} {
		var old []partition
		err = r.db.Select(ctx, &old, "select distinct _partition_id as partition_id from "+table+" where version not in {versions:Array(UInt64)}",
			warehouse.Params{"versions": since.versions})
		if err != nil {
			return nil, err
		}
		if err := dropPartitions(ctx, r.db, table, old); err != nil {
			return nil, err
		}
	}
	return func() error {
		work, ctx := errgroup.WithContext(ctx)
		for at, partitions := range unseen.Range {
			work.Go(func() error { return dropPartitions(ctx, at.(placed).db, at.(placed).table, partitions.([]partition)) })
		}
		return work.Wait()
	}, nil
}

// placed is a table where some of its rows lie.
type placed struct {
	db    *warehouse.DB
	table string
}

// empty empties a table, wherever it lies.
func empty(ctx context.Context, db *warehouse.DB, table string) error {
	return db.Holding(ctx, table, func(ctx context.Context, db *warehouse.DB) error { return db.Exec(ctx, "truncate table "+table, nil) })
}

// unseenIn lists the partitions of a table that hold no version published.
func unseenIn(ctx context.Context, db *warehouse.DB, table string) (partitions []partition, err error) {
	// By the names of the partitions: no row is read.
	err = db.Select(ctx, &partitions, `select distinct partition_id from system.parts
		where database = currentDatabase() and table = {table:String} and active
			and partition not in (select toString((day, max(version))) from published_days where table_name = {table:String} group by day)`,
		warehouse.Params{"table": table})
	return partitions, err
}

type partition struct {
	ID string `ch:"partition_id"`
}

// dropPartitions drops partitions, many in one statement.
func dropPartitions(ctx context.Context, db *warehouse.DB, table string, partitions []partition) error {
	const atOnce = 100
	for len(partitions) > 0 {
		n := min(atOnce, len(partitions))
		var drops []string
		for _, p := range partitions[:n] {
			drops = append(drops, "drop partition id '"+p.ID+"'")
		}
		if err := db.Exec(ctx, "alter table "+table+" "+strings.Join(drops, ", "), nil); err != nil {
			return err
		}
		partitions = partitions[n:]
	}
	return nil
}
