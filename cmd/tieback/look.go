package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

type explainCmd struct {
	Customer string `arg:"" help:"The account's id."`
	APIName  string `arg:"" name:"apiname" help:"The conversion's apiName."`
	ActionID string `arg:"" name:"actionid" help:"The conversion's actionId."`
}

func (x *explainCmd) Run(ctx context.Context, p *program) error {
	return p.withDB(ctx, func(db *warehouse.DB) error {
		if err := p.settleSpool(ctx, db); err != nil {
			return err
		}
		e, err := reports.Explain(ctx, db, x.Customer, x.APIName, x.ActionID, p.now())
		if err != nil {
			return err
		}
		if len(e.Copies) == 0 {
			waiting := ""
			if n := len(e.History); n > 0 {
				waiting = fmt.Sprintf(" (adjustments that wait for it: %d)", n)
			}
			return fmt.Errorf("no conversion %s %s of account %s was received%s; apiName and actionId must be as they were sent", human.Quote(x.APIName), human.Quote(x.ActionID), human.Quote(x.Customer), waiting)
		}
		for _, c := range e.Copies {
			printCopy(p, e, c)
		}
		return printHistory(p, e)
	})
}

// printCopy shows one copy. What came from outside stands in quotation marks, so that a space
// at its end shows.
func printCopy(p *program, e *reports.Explanation, c reports.Copy) {
	moment := func(ms int64) string { return human.Moment(time.UnixMilli(ms)) }
	fmt.Fprintf(p.stdout, "%s %s\n", human.Quote(e.APIName), human.Quote(e.ActionID))
	fmt.Fprintf(p.stdout, "  happened  %s\n", moment(c.ActionTimestamp))
	fmt.Fprintf(p.stdout, "  received  %s  (%s)\n", moment(c.ReceivedAt), c.IngestID)
	fmt.Fprintf(p.stdout, "  user      %s, %s\n", human.Quote(c.UserDomain), human.Quote(c.UserID))
	if c.Value != nil {
		fmt.Fprintf(p.stdout, "  value     %s\n", *c.Value)
	}
	if c.Rule != nil {
		fmt.Fprintf(p.stdout, "  rule      window %s, credit %s\n", c.Rule.Window, c.Rule.Credit)
	}
	fmt.Fprintf(p.stdout, "  outcome   %s: %s\n", c.Outcome, c.Reason)
	for _, hint := range c.Hints {
		fmt.Fprintf(p.stdout, "  hint      %s\n", hint)
	}
	for _, a := range c.Attributions {
		session := ""
		if a.SessionStartedAt != nil {
			session = ", in the session that began at " + moment(*a.SessionStartedAt)
		}
		fmt.Fprintf(p.stdout, "  attributed to variation %s of optimization %s, seen by visitor %s at %s%s\n",
			human.Quote(a.VariationID), human.Quote(a.OptimizationID), human.Quote(a.VisitorID), moment(a.ViewedAt), session)
	}
}

// printHistory lists what was received about a conversion that has more than itself.
func printHistory(p *program, e *reports.Explanation) error {
	if len(e.History) < 2 {
		return nil
	}
	fmt.Fprintln(p.stdout, "history")
	t := newTable("received", "what", "meant to hold from", "value", "changed", "taken into account by")
	for _, item := range e.History {
		adjusted, value := "", ""
		if item.AdjustedAt != nil {
			adjusted = human.Moment(time.UnixMilli(*item.AdjustedAt))
		}
		if item.Value != nil {
			value = *item.Value
		}
		t.AppendRow(table.Row{human.Moment(time.UnixMilli(item.ReceivedAt)), item.Kind, adjusted, value, item.Change, item.When(p.now())})
	}
	return render(p.stdout, t)
}

type statusCmd struct {
	Changes bool `help:"Show which figures of past days the last run changed, and why."`
}

type waitingRows struct {
	ClientEvents uint64 `ch:"client_events"`
	Conversions  uint64 `ch:"conversions"`
	Adjustments  uint64 `ch:"adjustments"`
}

func (s *statusCmd) Run(ctx context.Context, p *program) error {
	return p.withDB(ctx, func(db *warehouse.DB) error {
		records, err := jobs.Recent(ctx, db, 10)
		if err != nil {
			return err
		}
		cutoff, err := jobs.PublishedCutoff(ctx, db)
		if err != nil {
			return err
		}
		if cutoff.IsZero() {
			fmt.Fprintln(p.stdout, "published up to: nothing yet")
			cutoff = time.UnixMilli(0)
		} else {
			fmt.Fprintf(p.stdout, "published up to: %s\n", stamp(cutoff))
		}
		if cutoff.After(p.now()) {
			fmt.Fprintln(p.stdout, "that lies in the future, so a clock was wrong: the next run computes all days again")
		}
		var waiting []waitingRows
		if err := db.Select(ctx, &waiting, sql.Report("waiting").SQL, warehouse.Params{"cutoff": warehouse.Time(cutoff)}); err != nil {
			return err
		}
		behind, end, err := spool.Extent(spoolDir(p.dataDir))
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "received since: %d conversions, %d adjustments, %d client events; the next run takes those before its cutoff\n", waiting[0].Conversions, waiting[0].Adjustments, waiting[0].ClientEvents)
		orphans, err := reports.AdjustmentsWaiting(ctx, db)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "adjustments that wait for their conversion: %d\n", orphans)
		if behind.Before(end) {
			fmt.Fprintln(p.stdout, "spool: events wait to be sent to ClickHouse")
		} else {
			fmt.Fprintln(p.stdout, "spool: empty")
		}
		if err := printRuns(p, records); err != nil {
			return err
		}
		if err := printLastRun(ctx, p, db, records); err != nil {
			return err
		}
		return p.printLastChanges(ctx, db, records, s.Changes)
	})
}

// lastDone returns the newest run that published.
func lastDone(records []jobs.Record) (jobs.Record, bool) {
	i := slices.IndexFunc(records, func(r jobs.Record) bool { return r.State == jobs.StateDone })
	if i < 0 {
		return jobs.Record{}, false
	}
	return records[i], true
}

// printLastRun shows why the last run computed which days, and its slowest steps.
func printLastRun(ctx context.Context, p *program, db *warehouse.DB, records []jobs.Record) error {
	last, ok := lastDone(records)
	if !ok {
		return nil
	}
	causes, err := jobs.Causes(ctx, db, last.RunID)
	if err != nil {
		return err
	}
	for _, c := range causes {
		fmt.Fprintf(p.stdout, "computed because of %s: %s, %s to %s\n", jobs.CauseText(c.Cause), count(c.Days, "day"), c.First.Format(time.DateOnly), c.Last.Format(time.DateOnly))
	}
	steps, err := jobs.SlowestSteps(ctx, db, last.RunID, 3)
	if err != nil {
		return err
	}
	for i, step := range steps {
		if i == 0 {
			fmt.Fprintf(p.stdout, "slowest steps of run %s:", last.RunID)
		}
		fmt.Fprintf(p.stdout, " %s %d ms", step.Step, step.DurationMS)
	}
	if len(steps) > 0 {
		fmt.Fprintln(p.stdout)
	}
	return nil
}

func (p *program) printLastChanges(ctx context.Context, db *warehouse.DB, records []jobs.Record, all bool) error {
	last, ok := lastDone(records)
	if !ok {
		return nil
	}
	if all {
		if _, total, err := jobs.Changes(ctx, db, last.RunID, 0); err != nil || total == 0 {
			fmt.Fprintln(p.stdout, "changes: the last run changed no figure of a day that had been published before")
			return err
		}
		return p.printChanges(ctx, db, last.RunID)
	}
	_, total, err := jobs.Changes(ctx, db, last.RunID, 0)
	if err == nil && total > 0 {
		fmt.Fprintf(p.stdout, "changes: the last run changed %d figures of days published before; tieback status --changes shows them\n", total)
	}
	return err
}

func printRuns(p *program, records []jobs.Record) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(p.stdout, "runs: none yet; `tieback run` makes one, `tieback serve` one each midnight UTC")
		return err
	}
	t := newTable("run", "cutoff", "started", "took", "state", "mode", "days", "rows", "error")
	for _, r := range records {
		took := ""
		if r.FinishedAt != nil && r.State != jobs.StateCovered {
			took = r.FinishedAt.Sub(r.StartedAt).String()
		}
		t.AppendRow(table.Row{r.RunID, stamp(r.Cutoff), stamp(r.StartedAt), took, r.State, r.Mode, r.Days, r.Rows, r.Error})
	}
	return render(p.stdout, t)
}
