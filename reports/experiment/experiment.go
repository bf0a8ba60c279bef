package experiment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/reports/stats"
)

// Goal is what an optimization does for one goal event.
type Goal struct {
	CustomerID     string `json:"-"`
	OptimizationID string `json:"-"`
	Segment        string `json:"-"` // the attribute's text, where they were asked for
	EventID        string `json:"-"`

	WindowHours uint32      `json:"window_hours"` // for how long after an entry conversions count
	DaysLeft    *uint32     `json:"days_left"`    // until a lift of MDEPercent would show; nil where that can't be said
	Verdict     string      `json:"verdict"`      // in words
	Variations  []Variation `json:"variations"`   // those configured in their order, then those only seen

	SampleRatio     *SampleRatio `json:"-"`
	PlannedVisitors uint64       `json:"-"`
	MDEPercent      float64      `json:"-"`

	endless    bool   // it will not show in some variation
	whyEndless string // in words; empty where there is nothing to say
	isRange    bool   // only some days of entry were asked for
}

// Variation is what those do who entered with a variation.
type Variation struct {
	VariationID string  `json:"variation_id"`
	Name        string  `json:"-"`
	IsBaseline  bool    `json:"-"`
	Weight      float64 `json:"-"`

	Entered         uint64      `json:"entered"`
	Mature          uint64      `json:"mature"`     // of them those whose window is over; what follows is of these
	Converters      uint64      `json:"converters"` // who converted within it
	Rate            *float64    `json:"rate"`       // converters / mature
	ValueTotal      json.Number `json:"value_total"`
	ValuePerVisitor *float64    `json:"value_per_visitor"` // value_total / mature
	SawAnother      uint64      `json:"saw_another"`       // of the entered those who saw another variation, at any time
	RateVsBaseline  *Comparison `json:"rate_vs_baseline"`  // nil for the baseline, and where nothing can be compared
	ValueVsBaseline *Comparison `json:"value_vs_baseline"`
	Verdict         string      `json:"verdict"`        // in words; empty for the baseline
	Note            string      `json:"note,omitempty"` // why nothing is compared

	enteredLately uint64 // within the last 14 days before the cutoff
	valueSquares  float64
}

// Comparison of a variation with the baseline. Low, High and PValue hold at every look; the fixed ones at a single one, that was
// decided on before. All but the p values and the chance are relative to the baseline's mean.
type Comparison struct {
	Lift         float64 `json:"lift"`
	Low          float64 `json:"low"`
	High         float64 `json:"high"`
	PValue       float64 `json:"p_value"`
	PAdjusted    float64 `json:"p_adjusted"` // after Holm, over all p values of the answer
	FixedLow     float64 `json:"fixed_low"`
	FixedHigh    float64 `json:"fixed_high"`
	FixedPValue  float64 `json:"fixed_p_value"`
	ChanceToBeat float64 `json:"chance_to_beat"`
}

// Decided reports whether there is a difference, after all that was looked at. Its interval leaves out 0 then.
func (c *Comparison) Decided() bool { return c != nil && c.PAdjusted < significant }

// Better and Worse say in which direction.
func (c *Comparison) Better() bool { return c.Decided() && c.Lift > 0 }
func (c *Comparison) Worse() bool  { return c.Decided() && c.Lift < 0 }

// SampleRatio says whether those who entered are spread as the weights have it.
type SampleRatio struct {
	ChiSquared float64 `json:"chi_squared"`
	PValue     float64 `json:"p_value"`
	Warning    bool    `json:"warning"` // p < 0.001
}

// What is needed before anything is compared, and below which p there is a difference, or a wrong split (R11).
const (
	leastMature      = 50
	leastConverters  = 5
	significant      = 0.05
	sampleRatioAlarm = 0.001
	lately           = 14 // days
)

// compare fills in all that follows from the counts, but for p_adjusted and the verdicts.
func (g *Goal) compare() {
	g.checkSplit()
	for i := range g.Variations {
		g.Variations[i].divide()
	}
	baseline := g.Baseline()
	if baseline == nil {
		return
	}
	for i := range g.Variations {
		if v := &g.Variations[i]; !v.IsBaseline {
			v.compareWith(baseline, float64(g.PlannedVisitors))
			g.wait(v, baseline)
		}
	}
}

// checkSplit compares how those who entered are spread with the weights.
func (g *Goal) checkSplit() {
	var counts, weights []float64
	for _, v := range g.Variations {
		counts, weights = append(counts, float64(v.Entered)), append(weights, v.Weight)
	}
	if chiSquared, p, ok := stats.SampleRatio(counts, weights); ok {
		g.SampleRatio = &SampleRatio{chiSquared, p, p < sampleRatioAlarm}
	}
}

// Baseline is the variation that others are compared with, nil without one.
func (g *Goal) Baseline() *Variation {
	i := slices.IndexFunc(g.Variations, func(v Variation) bool { return v.IsBaseline })
	if i < 0 {
		return nil
	}
	return &g.Variations[i]
}

// SameCounts reports whether the same visitors have done the same, as far as the sums show.
func (v *Variation) SameCounts(o *Variation) bool {
	return v.Mature == o.Mature && v.Converters == o.Converters && v.ValueTotal == o.ValueTotal
}

func (v *Variation) divide() {
	if v.Mature == 0 {
		return
	}
	rate, mean := v.rate().Mean, v.value().Mean
	v.Rate, v.ValuePerVisitor = &rate, &mean
}

func (v *Variation) rate() stats.Sample {
	return stats.Proportion(float64(v.Converters), float64(v.Mature))
}

func (v *Variation) value() stats.Sample {
	total, _ := v.ValueTotal.Float64()
	return stats.SampleOf(float64(v.Mature), total, v.valueSquares)
}

func (v *Variation) compareWith(baseline *Variation, planned float64) {
	for _, arm := range []*Variation{baseline, v} {
		if v.Note = arm.tooFew(); v.Note != "" {
			return
		}
	}
	didBase, nBase, did, n := float64(baseline.Converters), float64(baseline.Mature), float64(v.Converters), float64(v.Mature)
	if c, d := compareSamples(baseline.rate(), v.rate(), planned); c != nil {
		c.oneLook(d, d.OneLook(), baseline.rate().Mean)
		_, c.FixedPValue, _ = stats.TwoProportions(didBase, nBase, did, n)
		c.ChanceToBeat = stats.ProportionBeats(didBase, nBase, did, n)
		v.RateVsBaseline = c
	}
	if c, d := compareSamples(baseline.value(), v.value(), planned); c != nil {
		_, freedom, p, _ := stats.Welch(baseline.value(), v.value())
		c.oneLook(d, d.OneLookOfMeans(freedom), baseline.value().Mean)
		c.FixedPValue, c.ChanceToBeat = p, d.MeanBeats()
		v.ValueVsBaseline = c
	}
}

// compareSamples returns nil where there is nothing to compare with, or nothing varies.
func compareSamples(baseline, arm stats.Sample, planned float64) (*Comparison, stats.Difference) {
	d, ok := stats.DifferenceOf(baseline, arm)
	if !ok || baseline.Mean == 0 {
		return nil, d
	}
	h, p := d.HalfWidth(planned), d.PValue(planned)
	return &Comparison{
		Lift: d.D / baseline.Mean, Low: (d.D - h) / baseline.Mean, High: (d.D + h) / baseline.Mean,
		PValue: p, PAdjusted: p, // until adjust has seen what else is answered
	}, d
}

func (c *Comparison) oneLook(d stats.Difference, half, mean float64) {
	c.FixedLow, c.FixedHigh = (d.D-half)/mean, (d.D+half)/mean
}

// wait sets how many days are left, at the pace of the last two weeks, until a lift worth finding would show in every variation.
func (g *Goal) wait(v, baseline *Variation) {
	d, ok := stats.DifferenceOf(baseline.rate(), v.rate())
	if !ok {
		return
	}
	pace := float64(v.enteredLately+baseline.enteredLately) / lately
	times, ok := d.TimesMore(g.MDEPercent/100*baseline.rate().Mean, float64(g.PlannedVisitors))
	days := 0.0
	if times > 1 {
		days = math.Ceil((times - 1) * d.N / pace)
	}
	switch {
	case !ok || pace > 0 && days > math.MaxUint32:
		g.endless, g.whyEndless = true, fmt.Sprintf("no number of visitors that can come will show one of ±%g %%", g.MDEPercent)
	case days > math.MaxUint32 && g.isRange:
		g.endless = true // whoever enters now is not asked for
	case days > math.MaxUint32:
		g.endless, g.whyEndless = true, fmt.Sprintf("nobody entered in the last %d days, so waiting won't show one", lately)
	case g.DaysLeft == nil || uint32(days) > *g.DaysLeft:
		left := uint32(days)
		g.DaysLeft = &left
	}
	if g.endless {
		g.DaysLeft = nil
	}
}

// adjust applies Holm's method to all p values of goals that are answered together.
func adjust(goals []*Goal) {
	var all []*Comparison
	var p []float64
	for _, g := range goals {
		for i := range g.Variations {
			for _, c := range []*Comparison{g.Variations[i].RateVsBaseline, g.Variations[i].ValueVsBaseline} {
				if c != nil {
					all, p = append(all, c), append(p, c.PValue)
				}
			}
		}
	}
	for i, adjusted := range stats.Holm(p) {
		all[i].PAdjusted = adjusted
	}
}

// variationsOf lists the variations of an optimization: those configured in their order, then those only seen, which come with
// their counts.
func variationsOf(snap *catalog.Snapshot, customerID, optimizationID string, counted map[string]*Variation) []Variation {
	var list []Variation
	configured := map[string]bool{}
	for _, v := range snap.VariationsOf(customerID, optimizationID) {
		configured[v.VariationID] = true
		list = append(list, Variation{VariationID: v.VariationID, Name: v.Name, IsBaseline: v.IsBaseline, Weight: v.Weight, ValueTotal: "0"})
	}
	seen := len(list)
	for id := range counted {
		if !configured[id] {
			list = append(list, Variation{VariationID: id, ValueTotal: "0"})
		}
	}
	slices.SortFunc(list[seen:], func(a, b Variation) int { return cmp.Compare(a.VariationID, b.VariationID) })
	for i := range list {
		if of := counted[list[i].VariationID]; of != nil {
			v := &list[i]
			v.Entered, v.Mature, v.SawAnother, v.enteredLately = of.Entered, of.Mature, of.SawAnother, of.enteredLately
			v.Converters, v.ValueTotal, v.valueSquares = of.Converters, of.ValueTotal, of.valueSquares
		}
	}
	return list
}

// number writes an exact amount as a JSON number.
func number(amount decimal.Decimal) json.Number { return json.Number(amount.String()) }
