package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tieback/tieback/reports/experiment"
)

// Label is what a variation is called where people read.
func (v Shown) Label() string {
	name := v.VariationID
	if v.Name != "" && v.Name != name {
		name += " " + v.Name
	}
	if v.IsBaseline {
		name += " (baseline)"
	}
	return strings.TrimSpace(name)
}

// Title is what a goal is called where people read.
func (g GoalResults) Title() string {
	name := g.EventID
	if g.APIName != "" {
		name = g.APIName
	}
	if g.IsPrimary {
		name += " (primary goal)"
	}
	return name
}

// Title is what an optimization is called where people read.
func (r *Results) Title() string {
	if r.Name == "" || r.Name == r.OptimizationID {
		return r.OptimizationID
	}
	return r.Name + " (" + r.OptimizationID + ")"
}

// Label is what a segment is called where people read.
func (s SegmentResults) Label() string {
	if s.Text == "" {
		return "without this attribute"
	}
	return s.Text
}

// HasValue reports whether a conversion of the goal came with a value.
func (g GoalResults) HasValue() bool {
	if slices.ContainsFunc(g.Experiment.Variations, func(v experiment.Variation) bool { return v.ValueTotal != "0" }) {
		return true
	}
	for _, arm := range g.Arms {
		if arm.ValuePerConversion != nil {
			return true
		}
	}
	return false
}

// Percent writes a share, and Amount a value of money; nothing for nil.
func Percent(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%.2f %%", 100**share)
}

// Amount writes a value of money with two places; nothing for nil.
func Amount(value *float64) string {
	if value == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", *value)
}
