package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tieback/tieback/refuse"
)

// PutOptimization adds an optimization or replaces its name, variations and planned visitors. The
// first variation is the baseline unless one says that it is; 0 planned visitors leave it at what was planned.
func (e *Edit) PutOptimization(o Optimization, variations []Variation) error {
	if err := checkID("the optimization's id", o.OptimizationID); err != nil {
		return err
	}
	if err := checkID("the optimization's name", o.Name); err != nil {
		return err
	}
	if len(variations) == 0 {
		return refuse.Invalidf("optimization %s needs at least one variation", o.OptimizationID)
	}
	if o.PlannedVisitors > MostPlannedVisitors {
		return refuse.Invalidf("%d visitors are planned for optimization %s, at most %d can be", o.PlannedVisitors, o.OptimizationID, MostPlannedVisitors)
	}
	variations, err := completeVariations(o, variations)
	if err != nil {
		return err
	}
	if err := e.PutAccount(o.CustomerID, nil); err != nil {
		return err
	}
	configured, exists := e.Optimizations[o.CustomerID][o.OptimizationID]
	if o.PlannedVisitors == 0 {
		o.PlannedVisitors = cmp.Or(configured.PlannedVisitors, DefaultPlannedVisitors)
	}
	if exists && configured.Name == o.Name && configured.PlannedVisitors == o.PlannedVisitors &&
		slices.EqualFunc(e.VariationsOf(o.CustomerID, o.OptimizationID), variations, Variation.same) {
		return nil
	}
	if e.Optimizations[o.CustomerID] == nil {
		e.Optimizations[o.CustomerID] = map[string]Optimization{}
	}
	e.Optimizations[o.CustomerID][o.OptimizationID] = o
	e.optimizations = append(e.optimizations, o)

	before := e.Variations[o.CustomerID][o.OptimizationID]
	after := make(map[string]Variation, len(variations))
	for _, v := range variations {
		after[v.VariationID] = v
	}
	for id, v := range before {
		if _, kept := after[id]; !kept && !v.IsDeleted {
			v.IsDeleted = true
			after[id] = v
		}
	}
	if e.Variations[o.CustomerID] == nil {
		e.Variations[o.CustomerID] = map[string]map[string]Variation{}
	}
	e.Variations[o.CustomerID][o.OptimizationID] = after
	e.variations = slices.AppendSeq(e.variations, maps.Values(after))
	e.note(o.CustomerID, "optimization %s is called %q, is planned for %d visitors and has the variations %s",
		o.OptimizationID, o.Name, o.PlannedVisitors, describe(variations))
	return nil
}

// same reports whether nothing would change if o took v's place.
func (v Variation) same(o Variation) bool {
	v.Version = o.Version
	return v == o
}

// describe writes variations in a line, of which a record of many is cut short.
func describe(variations []Variation) string {
	const shown = 20
	var list []string
	for _, v := range variations[:min(shown, len(variations))] {
		text := fmt.Sprintf("%s %q, weight %g", v.VariationID, v.Name, v.Weight)
		if v.IsBaseline {
			text += ", baseline"
		}
		list = append(list, text)
	}
	if more := len(variations) - shown; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, "; ")
}

func completeVariations(o Optimization, variations []Variation) ([]Variation, error) {
	variations = slices.Clone(variations)
	seen := map[string]bool{}
	baselines := 0
	for i := range variations {
		v := &variations[i]
		v.CustomerID, v.OptimizationID, v.Position = o.CustomerID, o.OptimizationID, uint32(i)
		if err := checkID("a variation's id", v.VariationID); err != nil {
			return nil, err
		}
		if seen[v.VariationID] {
			return nil, refuse.Invalidf("variation %q is given twice", v.VariationID)
		}
		seen[v.VariationID] = true
		if !(v.Weight >= 0 && v.Weight <= math.MaxFloat32) { // nor NaN
			return nil, refuse.Invalidf("the weight of variation %q is not a number from 0 up", v.VariationID)
		}
		if v.IsBaseline {
			baselines++
		}
	}
	switch baselines {
	case 0:
		variations[0].IsBaseline = true
	case 1:
	default:
		return nil, refuse.Invalidf("optimization %s has %d baselines, one is allowed", o.OptimizationID, baselines)
	}
	return variations, nil
}

// AddGoal attaches an event to an optimization, both of which must exist. A primary
// goal takes the place of the one before. The smallest lift worth finding stays where it is not given.
func (e *Edit) AddGoal(g Goal) error {
	if _, ok := e.Optimizations[g.CustomerID][g.OptimizationID]; !ok {
		return refuse.NotFoundf("account %s has no optimization %s", g.CustomerID, g.OptimizationID).Try("`tieback optimization list %s` shows them", g.CustomerID)
	}
	if _, ok := known(e.Names[g.CustomerID], g.EventID); !ok {
		return refuse.NotFoundf("account %s has no event %s", g.CustomerID, g.EventID).Try("`tieback event list %s` shows their ids", g.CustomerID)
	}
	if before, exists := e.Goals[g.CustomerID][g.OptimizationID][g.EventID]; exists && !before.IsDeleted && g.MDEPercent == 0 {
		g.MDEPercent = before.MDEPercent
	}
	if err := checkMDE(&g); err != nil {
		return err
	}
	if g.IsPrimary {
		for _, other := range e.GoalsOf(g.CustomerID, g.OptimizationID) {
			if other.IsPrimary && other.EventID != g.EventID {
				other.IsPrimary = false
				e.putGoal(other)
			}
		}
	}
	e.putGoal(g)
	return nil
}

// checkMDE checks the smallest lift worth finding, and fills in the default where it is not given.
func checkMDE(g *Goal) error {
	if !(g.MDEPercent >= 0 && g.MDEPercent <= 1000) { // nor NaN
		return refuse.Invalidf("the smallest lift worth finding is %g %%, and must be above 0 and at most 1000 %%", g.MDEPercent)
	}
	if g.MDEPercent == 0 {
		g.MDEPercent = DefaultMDEPercent
	}
	return nil
}

// RemoveGoal detaches an event from an optimization.
func (e *Edit) RemoveGoal(customerID, optimizationID, eventID string) error {
	goal, ok := e.Goals[customerID][optimizationID][eventID]
	if !ok || goal.IsDeleted {
		return refuse.NotFoundf("event %s is no goal of optimization %s of account %s", eventID, optimizationID, customerID)
	}
	goal.IsDeleted = true
	e.putGoal(goal)
	return nil
}

func (e *Edit) putGoal(g Goal) {
	if old, exists := e.Goals[g.CustomerID][g.OptimizationID][g.EventID]; exists && old.IsPrimary == g.IsPrimary && old.MDEPercent == g.MDEPercent && old.IsDeleted == g.IsDeleted {
		return
	}
	if e.Goals[g.CustomerID] == nil {
		e.Goals[g.CustomerID] = map[string]map[string]Goal{}
	}
	if e.Goals[g.CustomerID][g.OptimizationID] == nil {
		e.Goals[g.CustomerID][g.OptimizationID] = map[string]Goal{}
	}
	e.Goals[g.CustomerID][g.OptimizationID][g.EventID] = g
	e.goals = append(e.goals, g)
	switch {
	case g.IsDeleted:
		e.note(g.CustomerID, "event %s is no goal of optimization %s any more", g.EventID, g.OptimizationID)
	case g.IsPrimary:
		e.note(g.CustomerID, "event %s is the primary goal of optimization %s, a lift of %g %% is worth finding", g.EventID, g.OptimizationID, g.MDEPercent)
	default:
		e.note(g.CustomerID, "event %s is a goal of optimization %s, a lift of %g %% is worth finding", g.EventID, g.OptimizationID, g.MDEPercent)
	}
}

// ReplaceOptimization sets an optimization with its variations and goals, and keeps
// nothing of what it was before. Unlike AddGoal it takes events that are not known
// (yet): the lines of an import come in any order.
func (e *Edit) ReplaceOptimization(o Optimization, variations []Variation, goals []Goal) error {
	primaries := 0
	wanted := map[string]bool{}
	for i := range goals {
		g := &goals[i]
		if err := checkID("a goal's eventId", g.EventID); err != nil {
			return err
		}
		if wanted[g.EventID] {
			return refuse.Invalidf("goal %q is given twice", g.EventID)
		}
		wanted[g.EventID] = true
		if err := checkMDE(g); err != nil {
			return err
		}
		if g.IsPrimary {
			primaries++
		}
	}
	if o.PlannedVisitors == 0 {
		o.PlannedVisitors = DefaultPlannedVisitors
	}
	if primaries > 1 {
		return refuse.Invalidf("optimization %s has %d primary goals, one is allowed", o.OptimizationID, primaries)
	}
	if err := e.PutOptimization(o, variations); err != nil {
		return err
	}
	for _, g := range e.GoalsOf(o.CustomerID, o.OptimizationID) {
		if !wanted[g.EventID] {
			g.IsDeleted = true
			e.putGoal(g)
		}
	}
	for _, g := range goals {
		g.CustomerID, g.OptimizationID = o.CustomerID, o.OptimizationID
		e.putGoal(g)
	}
	return nil
}
