package reports

import (
	"encoding/json"
	"fmt"

	"github.com/tieback/tieback/reports/stats"
)

// Arm is a variation's results for one goal event. What can't be computed is nil.
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
	Rate                  *Comparison `json:"rate_vs_baseline"`        // nil for the baseline, and without inference
	Value                 *Comparison `json:"value_vs_baseline"`
	Note                  string      `json:"note,omitempty"` // why there is no inference

	value stats.Sample // value per visitor exposed
}

// Comparison of an arm with the baseline. Lift is relative, its interval of 95 %; the
// chance is that of being better than the baseline. What can't be computed is nil.
type Comparison struct {
	Lift     *float64 `json:"lift"`
	LiftLow  *float64 `json:"lift_low"`
	LiftHigh *float64 `json:"lift_high"`
	PValue   *float64 `json:"p_value"`
	Chance   *float64 `json:"chance_to_beat_baseline"`
}

// What an arm needs before it is compared (R9), and below which p the sample
// ratio is called wrong.
const (
	leastVisitors    = 50
	leastConverters  = 5
	sampleRatioAlarm = 0.001
)

func (a *Arm) count(row conversionsRow) {
	a.Conversions, a.Converters, a.ConvertingUsers = row.Conversions, row.Converters, row.ConvertingUsers
	a.ConversionsNotExposed, a.ValueTotal = row.NotExposed, json.Number(row.ValueTotal.String())
	a.value = stats.SampleOf(float64(a.Visitors), row.ValueExposed, row.ValueSquares)
	if row.WithValue > 0 {
		mean := row.ValueTotal.InexactFloat64() / float64(row.WithValue)
		a.ValuePerConversion = &mean
	}
}

func (a *Arm) divide() {
	if a.Visitors == 0 {
		return
	}
	if a.value.N == 0 { // nothing attributed: everybody is worth 0
		a.value = stats.Sample{N: float64(a.Visitors)}
	}
	rate := float64(a.Converters) / float64(a.Visitors)
	mean := a.value.Mean
	a.ConversionRate, a.ValuePerVisitor = &rate, &mean
}

// compare tests an arm against the baseline, where both have enough to test.
func (a *Arm) compare(baseline *Arm) {
	for _, arm := range []*Arm{baseline, a} {
		switch {
		case arm.Visitors < leastVisitors:
			a.Note = fmt.Sprintf("too early to compare: %d visitors saw %s, at least %d are needed", arm.Visitors, arm.VariationID, leastVisitors)
			return
		case arm.Converters < leastConverters:
			a.Note = fmt.Sprintf("too early to compare: %d visitors of %s converted, at least %d are needed", arm.Converters, arm.VariationID, leastConverters)
			return
		}
	}
	did1, n1, did2, n2 := float64(baseline.Converters), float64(baseline.Visitors), float64(a.Converters), float64(a.Visitors)
	a.Rate = &Comparison{}
	a.Rate.lift(stats.Proportion(did1, n1), stats.Proportion(did2, n2))
	if _, p, ok := stats.TwoProportions(did1, n1, did2, n2); ok {
		a.Rate.PValue = &p
	}
	chance := stats.ProportionBeats(did1, n1, did2, n2)
	a.Rate.Chance = &chance
	if baseline.value.Mean == 0 && a.value.Mean == 0 {
		return // no values are sent
	}
	a.Value = &Comparison{}
	a.Value.lift(baseline.value, a.value)
	if _, _, p, ok := stats.Welch(baseline.value, a.value); ok {
		a.Value.PValue = &p
	}
	if chance, ok := stats.MeanBeats(baseline.value, a.value); ok {
		a.Value.Chance = &chance
	}
}

func (c *Comparison) lift(baseline, arm stats.Sample) {
	if lift, _, interval, ok := stats.Lift(baseline, arm); ok {
		c.Lift, c.LiftLow, c.LiftHigh = &lift, &interval.Low, &interval.High
	}
}
