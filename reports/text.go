package reports

import (
	"fmt"
	"strings"
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

// HasValue reports whether a conversion of the goal came with a value.
func (g GoalResults) HasValue() bool {
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

// LiftText writes the lift with its interval. It works on nil, like the others.
func (c *Comparison) LiftText() string {
	if c == nil || c.Lift == nil {
		return ""
	}
	return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100**c.Lift, 100**c.LiftLow, 100**c.LiftHigh)
}

// PText writes the p-value.
func (c *Comparison) PText() string {
	if c == nil || c.PValue == nil {
		return ""
	}
	if *c.PValue < 0.0001 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", *c.PValue)
}

// ChanceText writes the chance to beat the baseline.
func (c *Comparison) ChanceText() string {
	if c == nil {
		return ""
	}
	return Percent(c.Chance)
}
