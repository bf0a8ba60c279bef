package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

type outcomesCmd struct {
	Customer string `arg:"" help:"The account's id."`
	From     string `placeholder:"DAY" help:"First day of the conversions, UTC. The last 30 days if not given."`
	To       string `placeholder:"DAY" help:"Last day, inclusive."`
	Outcome  string `placeholder:"NAME" help:"Only those with this outcome, as no_identity."`
	Event    string `placeholder:"APINAME" help:"Only those sent under this name."`
	Format   string `enum:"table,json,csv" default:"table" help:"table, json (a line each) or csv."`
}

// outcomesAtOnce is how many conversions are asked for at a time.
const outcomesAtOnce = 10_000

func (o *outcomesCmd) Run(ctx context.Context, p *program) error {
	days, err := reports.ParseDays(o.From, o.To)
	if err != nil {
		return err
	}
	if days == (reports.Days{}) {
		today := p.now().UTC().Truncate(24 * time.Hour)
		days = reports.Days{From: today.AddDate(0, 0, -29), To: today}
	}
	if err := reports.CheckOutcome(o.Outcome); err != nil {
		return err
	}
	write, end := o.writer(p)
	return p.withDB(ctx, func(db *warehouse.DB) error {
		filter := reports.ConversionFilter{Days: days, Outcome: o.Outcome, APIName: o.Event, Limit: outcomesAtOnce}
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		if err := snap.CheckAccount(o.Customer); err != nil {
			return err
		}
		for {
			list, err := reports.AccountConversions(ctx, db, o.Customer, filter)
			if err != nil {
				return err
			}
			for i := range list {
				if err := write(&list[i]); err != nil {
					return err
				}
			}
			if len(list) < outcomesAtOnce {
				return end()
			}
			filter.Offset += outcomesAtOnce
		}
	})
}

// writer returns what writes a conversion in the format asked for, and what comes after the last one.
func (o *outcomesCmd) writer(p *program) (write func(*reports.ListedConversion) error, end func() error) {
	columns := []string{"day", "api_name", "action_id", "user_domain", "user_id", "value", "converted_at", "received_at", "outcome", "attributed_to"}
	cells := func(c *reports.ListedConversion) []string {
		return []string{
			c.Day, c.APIName, c.ActionID, c.UserDomain, c.UserID, c.Value.String(),
			warehouse.Time(time.UnixMilli(c.ActionTimestamp)), warehouse.Time(time.UnixMilli(c.ReceivedAt)), c.Outcome, c.CreditText(),
		}
	}
	switch o.Format {
	case "json":
		encoder := json.NewEncoder(p.stdout)
		return func(c *reports.ListedConversion) error { return encoder.Encode(c) }, func() error { return nil }
	case "csv":
		w := csv.NewWriter(p.stdout)
		_ = w.Write(columns) // an error comes with the Flush
		return func(c *reports.ListedConversion) error { return w.Write(cells(c)) }, func() error { w.Flush(); return w.Error() }
	}
	t := newTable("day", "apiName", "actionId", "domain", "user id", "value", "converted", "received", "outcome", "attributed to")
	return func(c *reports.ListedConversion) error {
		row := table.Row{}
		for _, cell := range cells(c) {
			row = append(row, human.Escape(strings.ReplaceAll(cell, "\n", " ")))
		}
		t.AppendRow(row)
		return nil
	}, func() error { return render(p.stdout, t) }
}
