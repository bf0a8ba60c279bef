package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
)

type runCmd struct {
	From   string `placeholder:"DAY" help:"First day to compute anew, at the last published cutoff."`
	To     string `placeholder:"DAY" help:"Last day to compute anew, inclusive."`
	Cutoff string `placeholder:"TIME" help:"Only what was received before counts: RFC 3339 or now. The last midnight, or the last published cutoff where that is later, if not given."`
	Full   bool   `help:"Compute all days from all rows, also what cannot have changed."`
	DryRun bool   `name:"dry-run" help:"Compute and compare, but publish nothing."`
}

func (r *runCmd) Run(ctx context.Context, p *program) error {
	req, err := jobs.ParseRequest(r.From, r.To, r.Cutoff, p.now())
	if err != nil {
		return err
	}
	req.Full, req.DryRun = r.Full, r.DryRun
	return p.withDB(ctx, func(db *warehouse.DB) error {
		if err := p.settleSpool(ctx, db); err != nil {
			return err
		}
		runner := p.runner(db)
		runner.Progress = p.stepProgress()
		record, err := runner.Run(ctx, req)
		if isTerminal(p.rawErr) {
			fmt.Fprint(p.rawErr, "\r\033[K")
		}
		if err != nil {
			return err
		}
		done := "published"
		if r.DryRun {
			done = "computed, nothing was published"
		}
		fmt.Fprintf(p.stdout, "run %s: %s, cutoff %s, %s and %s %s\n",
			record.RunID, record.Mode, record.Cutoff.Format(time.RFC3339Nano), count(record.Days, "day"), count(record.Rows, "row"), done)
		return p.printChanges(ctx, db, record.RunID)
	})
}

// count writes a number of things.
func count[N uint32 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// maxChanges is how many lines of changes are shown; run_changes has all.
const maxChanges = 40

// printChanges shows which figures of days published before a run has changed.
func (p *program) printChanges(ctx context.Context, db *warehouse.DB, runID string) error {
	changes, total, err := jobs.Changes(ctx, db, runID, maxChanges)
	if err != nil || total == 0 {
		return err
	}
	fmt.Fprintln(p.stdout, "changed in days that had been published before:")
	t := newTable("account", "day", "optimization", "variation", "event", "visitors", "conversions", "value", "because of")
	fromTo := func(before, after any) string {
		if b, a := fmt.Sprint(before), fmt.Sprint(after); a != b {
			return b + " → " + a
		}
		return ""
	}
	for _, c := range changes {
		t.AppendRow(table.Row{
			c.CustomerID, c.Day.Format(time.DateOnly), c.OptimizationID, c.VariationID, c.EventID,
			fromTo(c.VisitorsBefore, c.VisitorsAfter), fromTo(c.ConversionsBefore, c.ConversionsAfter),
			fromTo(c.ValueBefore, c.ValueAfter), c.Because(),
		})
	}
	if err := render(p.stdout, t); err != nil {
		return err
	}
	if total > maxChanges {
		fmt.Fprintf(p.stdout, "and %d more: tieback sql \"select * from run_changes where run_id = '%s'\"\n", total-maxChanges, runID)
	}
	return nil
}

// stepProgress returns what shows each step: one line that is written over in a
// terminal, plain lines now and then elsewhere.
func (p *program) stepProgress() func(jobs.Progress) {
	last := time.Now()
	return func(progress jobs.Progress) {
		if isTerminal(p.rawErr) {
			fmt.Fprintf(p.rawErr, "\r\033[K%s", progress)
			return
		}
		if time.Since(last) >= progressInterval {
			last = time.Now()
			fmt.Fprintf(p.stderr, "%s\n", progress)
		}
	}
}

// spoolPatience is how long a run by hand waits for what was accepted before it.
const spoolPatience = 30 * time.Second

// errSpoolWaits says that what was accepted before a command is not in ClickHouse yet.
var errSpoolWaits = errors.New("events accepted before still wait in the spool; /readyz of the service says why")

// settleSpool makes what was accepted before the call visible, or says that it is not.
func (p *program) settleSpool(ctx context.Context, db *warehouse.DB) error {
	err := p.awaitSpool(ctx, db)
	if errors.Is(err, errSpoolWaits) {
		fmt.Fprintf(p.stderr, "tieback: %v; a later run takes them\n", err)
		return nil
	}
	return err
}

// awaitSpool waits for a running service to drain what was accepted before the call, or
// drains it itself where none runs. After a while it gives errSpoolWaits.
func (p *program) awaitSpool(ctx context.Context, db *warehouse.DB) error {
	dir := spoolDir(p.dataDir)
	cursor, end, err := spool.Extent(dir)
	if err != nil || !cursor.Before(end) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, spoolPatience)
	defer cancel()
	own, err := spool.Open(dir, spool.Options{Log: p.log})
	if errors.Is(err, spool.ErrInUse) {
		err = waitForService(ctx, dir, end)
	} else if err == nil {
		err = p.drainSpool(ctx, own, db)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errSpoolWaits
	}
	return err
}

func waitForService(ctx context.Context, dir string, end spool.Position) error {
	for {
		cursor, _, err := spool.Extent(dir)
		if err != nil || !cursor.Before(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *program) drainSpool(ctx context.Context, own *spool.Spool, db *warehouse.DB) error {
	writer := ingest.NewWriter(own, db, ingest.NewDeadLetters(p.dataDir), ingest.NewMetrics(), p.log)
	writing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		writer.Run(writing)
	}()
	err := own.WaitDrained(ctx)
	stop()
	<-done
	return errors.Join(err, own.Close())
}
