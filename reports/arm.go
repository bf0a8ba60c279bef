package reports

import (
	"encoding/json"
)

// Arm is what happened with a variation and a goal event on the days of a range (R9). What can't be computed is nil.
type Arm struct {
	Shown
	Conversions           uint64      `json:"conversions"`
	Converters            uint64      `json:"converters"`
	ConversionRate        *float64    `json:"conversion_rate"`
	ConvertingUsers       uint64      `json:"converting_users"`
	ConversionsNotExposed uint64      `json:"conversions_not_exposed"` // their visitor was not exposed in the range
	ValueTotal            json.Number `json:"value_total"`             // exact
	ValuePerVisitor       *float64    `json:"value_per_visitor"`       // of the visitors exposed
	ValuePerConversion    *float64    `json:"value_per_conversion"`    // over conversions with a value

	// Nothing is tested on figures by day: both are always null. The comparison is the goal's experiment (R11).
	Rate  *struct{} `json:"rate_vs_baseline"`
	Value *struct{} `json:"value_vs_baseline"`

	valueExposed float64 // what the visitors exposed brought
}

func (a *Arm) count(row conversionsRow) {
	a.Conversions, a.Converters, a.ConvertingUsers = row.Conversions, row.Converters, row.ConvertingUsers
	a.ConversionsNotExposed, a.ValueTotal, a.valueExposed = row.NotExposed, json.Number(row.ValueTotal.String()), row.ValueExposed
	if row.WithValue > 0 {
		mean := row.ValueTotal.InexactFloat64() / float64(row.WithValue)
		a.ValuePerConversion = &mean
	}
}

func (a *Arm) divide() {
	if *a.Visitors == 0 {
		return
	}
	rate, mean := float64(a.Converters)/float64(*a.Visitors), a.valueExposed/float64(*a.Visitors)
	a.ConversionRate, a.ValuePerVisitor = &rate, &mean
}
