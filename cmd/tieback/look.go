package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

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
			return fmt.Errorf("no conversion %s %s of account %s was received; apiName and actionId must be as they were sent", x.APIName, x.ActionID, x.Customer)
		}
		for _, c := range e.Copies {
			printCopy(p, e, c)
		}
		return nil
	})
}

func printCopy(p *program, e *reports.Explanation, c reports.Copy) {
	fmt.Fprintf(p.stdout, "%s %s\n", e.APIName, e.ActionID)
	fmt.Fprintf(p.stdout, "  happened  %s\n", stamp(time.UnixMilli(c.ActionTimestamp)))
	fmt.Fprintf(p.stdout, "  received  %s  (%s)\n", stamp(time.UnixMilli(c.ReceivedAt)), c.IngestID)
	fmt.Fprintf(p.stdout, "  user      %s, %s\n", c.UserDomain, c.UserID)
	if c.Value != nil {
		fmt.Fprintf(p.stdout, "  value     %s\n", *c.Value)
	}
	fmt.Fprintf(p.stdout, "  outcome   %s: %s\n", c.Outcome, c.Reason)
	for _, a := range c.Attributions {
		fmt.Fprintf(p.stdout, "  attributed to variation %s of optimization %s, seen by visitor %s at %s, in the session that began at %s\n",
			a.VariationID, a.OptimizationID, a.VisitorID, stamp(time.UnixMilli(a.ViewedAt)), stamp(time.UnixMilli(a.SessionStartedAt)))
	}
}

type statusCmd struct{}

type waitingRows struct {
	ClientEvents uint64 `ch:"client_events"`
	Conversions  uint64 `ch:"conversions"`
}

func (*statusCmd) Run(ctx context.Context, p *program) error {
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
		var waiting []waitingRows
		if err := db.Select(ctx, &waiting, sql.Report("waiting").SQL, warehouse.Params{"cutoff": warehouse.Time(cutoff)}); err != nil {
			return err
		}
		behind, end, err := spool.Extent(spoolDir(p.dataDir))
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "received since: %d conversions, %d client events; the next run takes those before its cutoff\n", waiting[0].Conversions, waiting[0].ClientEvents)
		if behind.Before(end) {
			fmt.Fprintln(p.stdout, "spool: events wait to be sent to ClickHouse")
		} else {
			fmt.Fprintln(p.stdout, "spool: empty")
		}
		return printRuns(p, records)
	})
}

func printRuns(p *program, records []jobs.Record) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(p.stdout, "runs: none yet; `tieback run` makes one, `tieback serve` one each midnight UTC")
		return err
	}
	t := newTable("run", "cutoff", "started", "took", "state", "days", "rows", "error")
	for _, r := range records {
		took := ""
		if r.FinishedAt != nil && r.State != jobs.StateCovered {
			took = r.FinishedAt.Sub(r.StartedAt).String()
		}
		t.AppendRow(table.Row{r.RunID, stamp(r.Cutoff), stamp(r.StartedAt), took, r.State, r.Days, r.Rows, r.Error})
	}
	return render(p.stdout, t)
}

type migrateCmd struct{}

func (*migrateCmd) Run(ctx context.Context, p *program) error {
	db, err := p.openUnmigrated(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	before, after, err := db.Migrate(ctx)
	if err != nil {
		return err
	}
	if before == after {
		fmt.Fprintf(p.stdout, "the schema is at version %d, nothing to do\n", after)
	} else {
		fmt.Fprintf(p.stdout, "the schema went from version %d to %d\n", before, after)
	}
	return db.Close()
}
