package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

type resultsCmd struct {
	Customer     string `arg:"" help:"The account's id."`
	Optimization string `arg:"" optional:"" help:"The optimization's id."`
	All          bool   `help:"All optimizations of the account, in one pass; without what happened by day."`
	From         string `placeholder:"DAY" help:"First day on which visitors entered, UTC. All days if not given."`
	To           string `placeholder:"DAY" help:"Last day, inclusive."`
	Cap          string `placeholder:"Q" help:"Set what a visitor brought to this quantile of all who brought something, as 0.99, where it is more."`
	Segment      string `placeholder:"NAME=VALUE" help:"Only visitors who entered with this attribute, as device=mobile."`
	By           string `placeholder:"NAME" help:"Also the visitors of each text of this attribute, as device."`
	KnownAt      string `placeholder:"TIME" help:"What was known then: as the last run that finished by then noted it. RFC 3339, or now."`
	Format       string `enum:"table,json" default:"table" help:"table or json."`
}

func (r *resultsCmd) Run(ctx context.Context, p *program) error {
	if r.All == (r.Optimization != "") {
		return usagef("give the optimization's id, or --all")
	}
	asked, err := reports.ParseAsked(r.From, r.To, r.Cap, r.Segment, r.By, r.KnownAt, p.now())
	if err != nil {
		return err
	}
	return p.withDB(ctx, func(db *warehouse.DB) error {
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		if r.All {
			all, err := reports.AccountResults(ctx, db, snap, r.Customer, asked)
			if err != nil {
				return err
			}
			return r.print(p.stdout, all, func() error { return printAll(p.stdout, all) })
		}
		results, err := reports.OptimizationResults(ctx, db, snap, r.Customer, r.Optimization, asked)
		if err != nil {
			return err
		}
		return r.print(p.stdout, results, func() error { return printResults(p.stdout, results) })
	})
}

// print writes the answer as JSON, or as tables.
func (r *resultsCmd) print(w io.Writer, answer any, tables func() error) error {
	if r.Format != "json" {
		return tables()
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

// printAll writes a line for each goal.
func printAll(w io.Writer, all []*reports.Results) error {
	t := newTable("optimization", "goal", "entered", "mature", "verdict")
	for _, r := range all {
		for _, goal := range r.Goals {
			var entered, mature uint64
			for _, v := range goal.Experiment.Variations {
				entered, mature = entered+v.Entered, mature+v.Mature
			}
			t.AppendRow(table.Row{r.Title(), goal.Title(), entered, mature, goal.Experiment.Verdict})
		}
		if len(r.Goals) == 0 {
			t.AppendRow(table.Row{r.Title(), "", "", "", "no goal is attached"})
		}
	}
	return render(w, t)
}

func printResults(w io.Writer, r *reports.Results) error {
	fmt.Fprintln(w, r.Title())
	switch {
	case r.KnownAt != "":
		fmt.Fprintf(w, "as run %s left it at %s, as of %s\n", r.RunID, r.KnownAt, r.AsOf)
	case r.From != "":
		fmt.Fprintf(w, "%s to %s, as of %s\n", r.From, r.To, r.AsOf)
	}
	var errs []error
	for _, goal := range r.Goals {
		fmt.Fprintf(w, "\n%s: %s\n", goal.Title(), goal.Experiment.Verdict)
		errs = append(errs, printExperiment(w, goal.Experiment, goal.HasValue()))
		for _, segment := range goal.Segments {
			fmt.Fprintf(w, "\n%s, %s: %s\n", goal.Title(), segment.Label(), segment.Experiment.Verdict)
			errs = append(errs, printExperiment(w, segment.Experiment, goal.HasValue()))
		}
		if len(goal.Arms) > 0 {
			fmt.Fprintln(w, "What happened on these days; nothing is compared here:")
			errs = append(errs, printArms(w, goal))
		}
	}
	if len(r.Goals) == 0 && len(r.Variations) > 0 {
		t := newTable("variation", "visitors")
		for _, v := range r.Variations {
			t.AppendRow(table.Row{v.Label(), *v.Visitors})
		}
		errs = append(errs, render(w, t))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return errors.Join(errs...)
}

// printExperiment writes the comparison (R11).
func printExperiment(w io.Writer, g *experiment.Goal, hasValue bool) error {
	rates := newTable("variation", "entered", "mature", "converted", "rate", "lift, always valid", "p (Holm)", "chance to beat", "one look", "saw another")
	values := newTable("variation", "value", "per visitor", "lift, always valid", "p (Holm)", "chance to beat", "one look")
	for i := range g.Variations {
		v := &g.Variations[i]
		rates.AppendRow(table.Row{
			v.LongLabel(), v.Entered, v.Mature, v.Converters, reports.Percent(v.Rate),
			v.RateVsBaseline.LiftText(), v.RateVsBaseline.PText(), v.RateVsBaseline.ChanceText(), v.RateVsBaseline.OneLookText(), v.SawAnother,
		})
		values.AppendRow(table.Row{
			v.LongLabel(), v.ValueTotal.String(), reports.Amount(v.ValuePerVisitor),
			v.ValueVsBaseline.LiftText(), v.ValueVsBaseline.PText(), v.ValueVsBaseline.ChanceText(), v.ValueVsBaseline.OneLookText(),
		})
	}
	err := render(w, rates)
	if hasValue {
		err = errors.Join(err, render(w, values))
	}
	for i := range g.Variations {
		if v := &g.Variations[i]; v.Verdict != "" && v.Verdict != g.Verdict {
			fmt.Fprintf(w, "%s: %s\n", v.Label(), v.Verdict)
		}
	}
	return err
}

// printArms writes what happened by day (R9).
func printArms(w io.Writer, goal reports.GoalResults) error {
	t := newTable("variation", "visitors", "conversions", "converters", "rate", "users", "not exposed", "value", "per visitor", "per conversion")
	for _, arm := range goal.Arms {
		t.AppendRow(table.Row{
			arm.Label(), *arm.Visitors, arm.Conversions, arm.Converters, reports.Percent(arm.ConversionRate), arm.ConvertingUsers, arm.ConversionsNotExposed,
			arm.ValueTotal.String(), reports.Amount(arm.ValuePerVisitor), reports.Amount(arm.ValuePerConversion),
		})
	}
	return render(w, t)
}
