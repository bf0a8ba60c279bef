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
	"github.com/tieback/tieback/warehouse"
)

type resultsCmd struct {
	Customer     string `arg:"" help:"The account's id."`
	Optimization string `arg:"" help:"The optimization's id."`
	From         string `placeholder:"DAY" help:"First day, UTC. All days if not given."`
	To           string `placeholder:"DAY" help:"Last day, inclusive."`
	Format       string `enum:"table,json" default:"table" help:"table or json."`
}

func (r *resultsCmd) Run(ctx context.Context, p *program) error {
	days, err := reports.ParseDays(r.From, r.To)
	if err != nil {
		return err
	}
	return p.withDB(ctx, func(db *warehouse.DB) error {
		snap, err := catalog.NewStore(db, p.now).Load(ctx)
		if err != nil {
			return err
		}
		results, err := reports.OptimizationResults(ctx, db, snap, r.Customer, r.Optimization, days)
		if err != nil {
			return err
		}
		if r.Format == "json" {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(results)
		}
		return printResults(p.stdout, results)
	})
}

func printResults(w io.Writer, r *reports.Results) error {
	title := r.OptimizationID
	if r.Name != "" {
		title += ", " + r.Name
	}
	fmt.Fprintln(w, title)
	if r.From != "" {
		fmt.Fprintf(w, "%s to %s, as of %s\n", r.From, r.To, r.AsOf)
	}
	var errs []error
	for _, goal := range r.Goals {
		fmt.Fprintf(w, "\n%s\n", goal.Title())
		errs = append(errs, printArms(w, goal))
	}
	if len(r.Goals) == 0 && len(r.Variations) > 0 {
		t := newTable("variation", "visitors")
		for _, v := range r.Variations {
			t.AppendRow(table.Row{v.Label(), v.Visitors})
		}
		errs = append(errs, render(w, t))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return errors.Join(errs...)
}

func printArms(w io.Writer, goal reports.GoalResults) error {
	rates := newTable("variation", "visitors", "conversions", "converters", "rate", "lift, 95 % interval", "p", "chance to beat", "users", "not exposed")
	values := newTable("variation", "value", "per visitor", "lift, 95 % interval", "p", "chance to beat", "per conversion")
	for _, arm := range goal.Arms {
		rates.AppendRow(table.Row{
			arm.Label(), arm.Visitors, arm.Conversions, arm.Converters, reports.Percent(arm.ConversionRate),
			arm.Rate.LiftText(), arm.Rate.PText(), arm.Rate.ChanceText(), arm.ConvertingUsers, arm.ConversionsNotExposed,
		})
		values.AppendRow(table.Row{
			arm.Label(), arm.ValueTotal.String(), reports.Amount(arm.ValuePerVisitor),
			arm.Value.LiftText(), arm.Value.PText(), arm.Value.ChanceText(), reports.Amount(arm.ValuePerConversion),
		})
	}
	err := render(w, rates)
	if goal.HasValue() {
		err = errors.Join(err, render(w, values))
	}
	for _, arm := range goal.Arms {
		if arm.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", arm.Label(), arm.Note)
		}
	}
	return err
}
