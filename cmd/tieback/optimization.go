package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
)

type optimizationCmd struct {
	Add    optimizationAddCmd    `cmd:"" help:"Add an optimization, or change its name and variations."`
	List   optimizationListCmd   `cmd:"" help:"List an account's optimizations."`
	Delete optimizationDeleteCmd `cmd:"" help:"Delete one that was made by mistake."`
}

type optimizationAddCmd struct {
	Customer  string   `arg:"" help:"The account's id."`
	ID        string   `arg:"" name:"id" help:"The optimization's id."`
	Name      string   `placeholder:"NAME" help:"What to call it; required for a new one."`
	Variation []string `placeholder:"ID[=NAME][:WEIGHT]" sep:"none" help:"A variation; give the flag once for each. Weights are 1 unless given. Of one that exists, what is not given stays; so do those that are not listed."`
	Visitors  *uint64  `placeholder:"N" help:"How many visitors are planned to be compared; 5000 if never given. The intervals are tightest around that many."`
	Baseline  string   `placeholder:"ID" help:"The variation that others are compared with; of a new one the first if not given."`
}

func (a *optimizationAddCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error {
		o, variations, err := a.over(e.Snapshot)
		if err != nil {
			return err
		}
		return e.PutOptimization(o, variations)
	})
}

// over lays what was given over what is there.
func (a *optimizationAddCmd) over(snap *catalog.Snapshot) (catalog.Optimization, []catalog.Variation, error) {
	o, exists := snap.Optimizations[a.Customer][a.ID]
	switch {
	case a.Name != "":
		o.Name = a.Name
	case !exists:
		return o, nil, usagef("--name is missing: what to call the new optimization")
	}
	o.CustomerID, o.OptimizationID = a.Customer, a.ID
	if a.Visitors != nil {
		if o.PlannedVisitors = *a.Visitors; o.PlannedVisitors == 0 {
			return o, nil, usagef("--visitors is 0, and must be how many visitors are planned to be compared")
		}
	}
	variations := snap.VariationsOf(a.Customer, a.ID)
	given := map[string]bool{}
	for _, text := range a.Variation {
		v, weight := parseVariation(text)
		if given[v.VariationID] {
			return o, nil, usagef("variation %s is given twice", human.Quote(v.VariationID))
		}
		given[v.VariationID] = true
		i := slices.IndexFunc(variations, func(other catalog.Variation) bool { return other.VariationID == v.VariationID })
		if i < 0 {
			v.Weight = 1
			if v.Name == "" {
				v.Name = v.VariationID
			}
			i, variations = len(variations), append(variations, v)
		}
		if v.Name != "" {
			variations[i].Name = v.Name
		}
		if weight != nil {
			variations[i].Weight = *weight
		}
	}
	if a.Baseline == "" {
		return o, variations, nil
	}
	found := false
	for i := range variations {
		variations[i].IsBaseline = variations[i].VariationID == a.Baseline
		found = found || variations[i].IsBaseline
	}
	if !found {
		return o, nil, usagef("--baseline %s is none of the variations", a.Baseline)
	}
	return o, variations, nil
}

// parseVariation reads ID[=NAME][:WEIGHT]; what is not given is empty, or nil.
func parseVariation(text string) (v catalog.Variation, weight *float64) {
	if colon := strings.LastIndexByte(text, ':'); colon >= 0 {
		if n, err := strconv.ParseFloat(text[colon+1:], 64); err == nil {
			text, weight = text[:colon], &n
		}
	}
	v.VariationID, v.Name, _ = strings.Cut(text, "=")
	return v, weight
}

type optimizationListCmd struct {
	Customer string `arg:"" help:"The account's id."`
}

func (l *optimizationListCmd) Run(ctx context.Context, p *program) error {
	return p.withCatalog(ctx, func(snap *catalog.Snapshot) error {
		t := newTable("optimization", "name", "variations", "goals", "planned visitors")
		for _, id := range slices.Sorted(maps.Keys(snap.Optimizations[l.Customer])) {
			var variations, goals []string
			for _, v := range snap.VariationsOf(l.Customer, id) {
				text := v.VariationID + " (" + v.Name + ")"
				if v.IsBaseline {
					text += " baseline"
				}
				variations = append(variations, text)
			}
			for _, g := range snap.GoalsOf(l.Customer, id) {
				text := g.EventID
				if g.IsPrimary {
					text += " primary"
				}
				text += fmt.Sprintf(" (from %g %%)", g.MDEPercent)
				goals = append(goals, text)
			}
			t.AppendRow(table.Row{id, snap.Optimizations[l.Customer][id].Name, strings.Join(variations, "\n"), strings.Join(goals, "\n"), snap.Optimizations[l.Customer][id].PlannedVisitors})
		}
		return render(p.stdout, t)
	})
}

type optimizationDeleteCmd struct {
	Customer string `arg:"" help:"The account's id."`
	ID       string `arg:"" name:"id" help:"The optimization's id."`
}

func (d *optimizationDeleteCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.DeleteOptimization(d.Customer, d.ID) })
}

type goalCmd struct {
	Add    goalAddCmd    `cmd:"" help:"Let an event count for an optimization."`
	Remove goalRemoveCmd `cmd:"" help:"Let it count no longer."`
}

type goalAddCmd struct {
	Customer     string   `arg:"" help:"The account's id."`
	Optimization string   `arg:"" help:"The optimization's id."`
	EventID      string   `arg:"" name:"eventid" help:"The event's id."`
	Primary      *bool    `negatable:"" help:"It is the goal that the optimization is for. What it is stays if not given."`
	MDE          *float64 `name:"mde" placeholder:"PERCENT" help:"The smallest lift worth finding, in per cent of the baseline; 10 if never given. It decides how long to wait."`
}

func (g *goalAddCmd) Run(ctx context.Context, p *program) error {
	goal := catalog.Goal{CustomerID: g.Customer, OptimizationID: g.Optimization, EventID: g.EventID}
	if g.MDE != nil {
		if goal.MDEPercent = *g.MDE; !(goal.MDEPercent > 0) {
			return usagef("--mde is %g, and must be a lift in per cent above 0", goal.MDEPercent)
		}
	}
	return p.change(ctx, func(e *catalog.Edit) error {
		before := e.Goals[g.Customer][g.Optimization][g.EventID]
		goal.IsPrimary = before.IsPrimary && !before.IsDeleted
		if g.Primary != nil {
			goal.IsPrimary = *g.Primary
		}
		return e.AddGoal(goal)
	})
}

type goalRemoveCmd struct {
	Customer     string `arg:"" help:"The account's id."`
	Optimization string `arg:"" help:"The optimization's id."`
	EventID      string `arg:"" name:"eventid" help:"The event's id."`
}

func (g *goalRemoveCmd) Run(ctx context.Context, p *program) error {
	return p.change(ctx, func(e *catalog.Edit) error { return e.RemoveGoal(g.Customer, g.Optimization, g.EventID) })
}
