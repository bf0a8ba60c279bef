package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

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
		return usageError{err}
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
		name := goal.EventID
		if goal.APIName != "" {
			name = goal.APIName
		}
		if goal.IsPrimary {
			name += " (primary goal)"
		}
		fmt.Fprintf(w, "\n%s\n", name)
		errs = append(errs, printArms(w, goal.Arms))
	}
	if len(r.Goals) == 0 && len(r.Variations) > 0 {
		t := newTable("variation", "visitors")
		for _, v := range r.Variations {
			t.AppendRow(table.Row{armName(v), v.Visitors})
		}
		errs = append(errs, render(w, t))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return errors.Join(errs...)
}

func printArms(w io.Writer, arms []reports.Arm) error {
	rates := newTable("variation", "visitors", "conversions", "converters", "rate", "lift, 95 % interval", "p", "chance to beat", "users", "not exposed")
	values := newTable("variation", "value", "per visitor", "lift, 95 % interval", "p", "chance to beat", "per conversion")
	anyValue := false
	for _, arm := range arms {
		rates.AppendRow(table.Row{
			armName(arm.Shown), arm.Visitors, arm.Conversions, arm.Converters, percent(arm.ConversionRate),
			liftText(arm.Rate), pText(arm.Rate), chanceText(arm.Rate), arm.ConvertingUsers, arm.ConversionsNotExposed,
		})
		values.AppendRow(table.Row{
			armName(arm.Shown), arm.ValueTotal.String(), amount(arm.ValuePerVisitor),
			liftText(arm.Value), pText(arm.Value), chanceText(arm.Value), amount(arm.ValuePerConversion),
		})
		anyValue = anyValue || arm.ValuePerConversion != nil
	}
	err := render(w, rates)
	if anyValue {
		err = errors.Join(err, render(w, values))
	}
	for _, arm := range arms {
		if arm.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", armName(arm.Shown), arm.Note)
		}
	}
	return err
}

func armName(v reports.Shown) string {
	name := v.VariationID
	if v.Name != "" && v.Name != name {
		name += " " + v.Name
	}
	if v.IsBaseline {
		name += " (baseline)"
	}
	return strings.TrimSpace(name)
}

func percent(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100**share)
}

func amount(value *float64) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", *value)
}

func liftText(c *reports.Comparison) string {
	if c == nil || c.Lift == nil {
		return ""
	}
	return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100**c.Lift, 100**c.LiftLow, 100**c.LiftHigh)
}

func pText(c *reports.Comparison) string {
	if c == nil || c.PValue == nil {
		return ""
	}
	if *c.PValue < 0.0001 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", *c.PValue)
}

func chanceText(c *reports.Comparison) string {
	if c == nil {
		return ""
	}
	return percent(c.Chance)
}
