package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Runner executes runs on one ClickHouse.
type Runner struct {
	db  *warehouse.DB
	now func() time.Time
	log *slog.Logger

	// Progress is told of each step as it begins, when set.
	Progress func(step string, done, of int)
}

// NewRunner returns a runner; now is the clock for the ledger's times and for what
// is the future, never for what a run computes.
func NewRunner(db *warehouse.DB, now func() time.Time, log *slog.Logger) *Runner {
	return &Runner{db: db, now: now, log: log}
}

// Request says what to compute.
type Request struct {
	// Cutoff: only rows received before it take part. The zero Cutoff means the last
	// midnight, or the last published cutoff where that is later; with a range, the
	// last published one.
	Cutoff time.Time
	// From and To are the first and the last day to compute, both inclusive, UTC. Nil
	// for all days.
	From, To *time.Time
}

// Errors about the request itself, for which the caller is to blame.
var (
	ErrFutureCutoff    = errors.New("the cutoff lies in the future")
	ErrNothingYet      = errors.New("nothing has been published yet, so there is no cutoff to compute a range at; run `tieback run` without a range first")
	ErrCutoffWithRange = errors.New("--cutoff can't be given with a range: those days are computed at the last published cutoff")
)

// firstDay and lastDay bound a run over all days: what ClickHouse's Date can hold of
// the times that an import takes (spec 6).
var (
	firstDay = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2100, 12, 31, 0, 0, 0, 0, time.UTC)
)

// Run computes the days of the request and publishes them. It returns what the
// ledger says of it. Runs wait for each other.
func (r *Runner) Run(ctx context.Context, req Request) (Record, error) {
	unlock, err := r.db.Lock(ctx, "run", func() { r.log.Info("another run is under way, waiting for its end") })
	if err != nil {
		return Record{}, err
	}
	defer unlock()
	l := ledger{r.db}
	if err := l.closeKilled(ctx, r.clock()); err != nil {
		return Record{}, err
	}
	before, any, err := l.published(ctx)
	if err != nil {
		return Record{}, err
	}
	if req, err = r.complete(req, before, any); err != nil {
		return Record{}, err
	}
	record, err := l.begin(ctx, req, r.clock())
	if err != nil {
		return Record{}, err
	}
	runErr := r.compute(ctx, req, &record)
	var made []Record
	if runErr == nil && req.From == nil && any {
		made, runErr = l.covered(ctx, before, req.Cutoff, r.clock())
	}
	// How it ended is noted even when ctx is what ended it.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return record, errors.Join(runErr, l.end(closing, record, r.clock(), runErr, made))
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
	req.Cutoff = req.Cutoff.UTC().Truncate(time.Millisecond)
	if req.Cutoff.After(now) {
		return req, fmt.Errorf("%w: %s is after now, %s", ErrFutureCutoff, req.Cutoff.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
	}
	return req, nil
}

// compute stages, checks and publishes.
func (r *Runner) compute(ctx context.Context, req Request, record *Record) error {
	if err := r.sweep(ctx); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	from, to := firstDay, lastDay
	if req.From != nil {
		from, to = *req.From, *req.To
	}
	params := warehouse.Params{
		"cutoff": warehouse.Time(req.Cutoff), "version": record.Version,
		"from_day": warehouse.Day(from), "to_day": warehouse.Day(to),
		"session_gap_minutes": sessionGapMinutes, "session_cap_hours": sessionCapHours,
		"view_lookback_days": viewLookbackDays,
	}
	for i, step := range steps() {
		if err := r.step(ctx, step, params, i); err != nil {
			return fmt.Errorf("step %s: %w", step.Name, err)
		}
	}
	if err := r.check(ctx, params); err != nil {
		return err
	}
	if err := r.publish(ctx, record, params); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (r *Runner) step(ctx context.Context, step sql.Statement, params warehouse.Params, index int) error {
	if r.Progress != nil {
		r.Progress(step.Name, index, len(steps()))
	}
	started := time.Now()
	if err := r.db.Exec(ctx, step.SQL, params.For(step.SQL)); err != nil {
		return err
	}
	r.log.Debug("step done", "step", step.Name, "cutoff", params["cutoff"], "ms", time.Since(started).Milliseconds())
	return nil
}

// check runs sql/checks. A row that they return is wrong, and nothing is published.
func (r *Runner) check(ctx context.Context, params warehouse.Params) error {
	const shown = 5
	for _, check := range sql.Checks() {
		columns, rows, err := r.db.Table(ctx, check.SQL, params.For(check.SQL))
		if err != nil {
			return fmt.Errorf("check %s: %w", check.Name, err)
		}
		if len(rows) == 0 {
			continue
		}
		var lines []string
		for _, row := range rows[:min(shown, len(rows))] {
			lines = append(lines, strings.Join(row, " | "))
		}
		return fmt.Errorf("check %s found %d wrong rows, nothing was published; the first, %s:\n%s",
			check.Name, len(rows), strings.Join(columns, " | "), strings.Join(lines, "\n"))
	}
	return nil
}

// publish names the version for the staged days, and counts them.
func (r *Runner) publish(ctx context.Context, record *Record, params warehouse.Params) error {
	params = params.With("run_id", record.RunID)
	step := sql.Nightly("95_published_days")
	if err := r.db.Exec(ctx, step.SQL, params.For(step.SQL)); err != nil {
		return err
	}
	totals := sql.Report("run_totals").SQL
	var days uint64
	if err := r.db.Row(ctx, totals, params.For(totals), &days, &record.Rows); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	record.Days = uint32(days)
	return nil
}

// sweep empties the working set and drops every version that readers don't see: those
// of killed runs, and those that were replaced before this run.
func (r *Runner) sweep(ctx context.Context) error {
	for _, table := range working {
		if err := r.db.Exec(ctx, "truncate table "+table, nil); err != nil {
			return err
		}
	}
	for _, p := range published {
		var partitions []struct {
			ID string `ch:"partition_id"`
		}
		err := r.db.Select(ctx, &partitions, `select distinct _partition_id as partition_id from `+p.table+`
			where (`+p.dayColumn+`, version) not in (select day, max(version) from published_days group by day)`, nil)
		if err != nil {
			return err
		}
		const atOnce = 100
		for len(partitions) > 0 {
			n := min(atOnce, len(partitions))
			var drops []string
			for _, partition := range partitions[:n] {
				drops = append(drops, "drop partition id '"+partition.ID+"'")
			}
			if err := r.db.Exec(ctx, "alter table "+p.table+" "+strings.Join(drops, ", "), nil); err != nil {
				return err
			}
			partitions = partitions[n:]
		}
	}
	return nil
}
