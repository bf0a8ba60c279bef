package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest/history"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

type exportCmd struct {
	Customer string `arg:"" help:"The account's id."`
	From     string `placeholder:"DAY" help:"First day, UTC, of what happened; all days if not given. What is configured is always written."`
	To       string `placeholder:"DAY" help:"Last day, inclusive."`
}

// Run writes lines on standard output that import reads.
func (x *exportCmd) Run(ctx context.Context, p *program) error {
	days, err := reports.ParseDays(x.From, x.To)
	if err != nil {
		return err
	}
	if days.From.IsZero() {
		days.From, days.To = time.UnixMilli(0), time.Date(2149, 6, 1, 0, 0, 0, 0, time.UTC) // all that a Date holds
	}
	return p.withDB(ctx, func(db *warehouse.DB) error {
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		if _, exists := snap.Accounts[x.Customer]; !exists {
			return fmt.Errorf("there is no account %s; `tieback account list` shows all", human.Quote(x.Customer))
		}
		if err := p.settleSpool(ctx, db); err != nil {
			return err
		}
		lines, err := history.Export(ctx, db, snap, x.Customer, days.From, days.To, p.rawOut)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "exported %s\n", human.Count(lines, "line"))
		return nil
	})
}
