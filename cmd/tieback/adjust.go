package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

type adjustCmd struct {
	Customer string  `arg:"" help:"The account's id."`
	APIName  string  `arg:"" name:"apiname" help:"The apiName that the conversion was sent with."`
	ActionID string  `arg:"" name:"actionid" help:"The conversion's actionId."`
	Restate  *string `placeholder:"VALUE" xor:"what" required:"" help:"Give it this value."`
	Retract  bool    `xor:"what" required:"" help:"Take it back."`
	At       string  `placeholder:"TIME" default:"now" help:"From when on that is meant to hold, RFC 3339 or now: of several adjustments the last one counts."`
}

var plainDecimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// Run stores the adjustment (R10); the next run takes it into account.
func (a *adjustCmd) Run(ctx context.Context, p *program) error {
	row, err := a.row(p.now())
	if err != nil {
		return err
	}
	return p.adding(ctx, func(db *warehouse.DB) error {
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		if err := snap.CheckAccount(a.Customer); err != nil {
			return err
		}
		if err := p.settleSpool(ctx, db); err != nil {
			return err
		}
		if err := db.InsertAdjustments(ctx, "", []warehouse.Adjustment{row}); err != nil {
			return err
		}
		e, err := reports.Explain(ctx, db, a.Customer, a.APIName, a.ActionID, p.now())
		if err != nil {
			return err
		}
		if len(e.Copies) == 0 {
			fmt.Fprintf(p.stderr, "warning: no conversion %s %s of account %s was received; the adjustment waits for one\n", human.Quote(a.APIName), human.Quote(a.ActionID), human.Quote(a.Customer))
			return nil
		}
		return printHistory(p, e)
	})
}

func (a *adjustCmd) row(now time.Time) (warehouse.Adjustment, error) {
	now = now.UTC().Truncate(time.Millisecond)
	at, err := jobs.ParseTime(a.At, now)
	if err != nil {
		return warehouse.Adjustment{}, err
	}
	if at.After(now.Add(ingest.MaxFuture)) {
		return warehouse.Adjustment{}, usagef("--at %s lies in the future", a.At)
	}
	row := warehouse.Adjustment{
		CustomerID: a.Customer, APIName: a.APIName, ActionID: a.ActionID, Kind: warehouse.Retract,
		AdjustedAtMS: at.UnixMilli(), ReceivedAtMS: now.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
	}
	for name, id := range map[string]string{"the account's id": a.Customer, "apiName": a.APIName, "actionId": a.ActionID} {
		if id == "" || len(id) > catalog.MaxIDBytes {
			return row, usagef("%s must have 1 to %d bytes", name, catalog.MaxIDBytes)
		}
	}
	if a.Restate == nil {
		return row, nil
	}
	if !plainDecimal.MatchString(*a.Restate) {
		return row, usagef("--restate %s is not a number; give a decimal, as 149.99", human.Quote(*a.Restate))
	}
	value, code := ingest.ParseValue(*a.Restate)
	switch code {
	case "value_negative":
		return row, usagef("--restate %s is negative; --retract takes a conversion back", *a.Restate)
	case "value_out_of_range":
		return row, usagef("--restate %s must be below 10^14", *a.Restate)
	}
	row.Kind, row.Value = warehouse.Restate, decimal.NewNullDecimal(value)
	return row, nil
}
