package experiment

import (
	"fmt"
	"math"

	"github.com/tieback/tieback/human"
)

// judge says in words what the figures mean, for each variation and for the goal (R11). Verdicts go by the adjusted p values.
func (g *Goal) judge() {
	for i := range g.Variations {
		if v := &g.Variations[i]; !v.IsBaseline {
			v.Verdict = g.verdictOn(v)
		}
	}
	g.Verdict = g.verdict()
}

func (g *Goal) verdictOn(v *Variation) string {
	switch rate, value := v.RateVsBaseline, v.ValueVsBaseline; {
	case g.Baseline() == nil:
		return "nothing to compare with: no variation is the baseline"
	case g.SampleRatio != nil && g.SampleRatio.Warning:
		return "check the split first: visitors are not spread as the weights say"
	case v.Note != "":
		return v.Note
	case rate.Better() && value.Worse(), rate.Worse() && value.Better():
		return fmt.Sprintf("mixed: rate %s, value per visitor %s; decide which of them counts", rate.LiftText(), value.LiftText())
	case rate.Decided():
		return direction(rate) + ": " + rate.LiftText() + also(value) + ", safe to stop"
	case value.Decided():
		return direction(value) + " by value per visitor: " + value.LiftText() + ", safe to stop; no difference in rate seen yet"
	default:
		return "no difference seen yet" + g.waiting()
	}
}

func direction(c *Comparison) string {
	if c.Better() {
		return "better"
	}
	return "worse"
}

func also(value *Comparison) string {
	if !value.Decided() {
		return ""
	}
	return ", and value per visitor " + value.LiftText()
}

// waiting says how long it will take.
func (g *Goal) waiting() string {
	mde := fmt.Sprintf("±%g %%", g.MDEPercent)
	switch {
	case g.DaysLeft == nil && g.whyEndless != "":
		return "; " + g.whyEndless
	case g.DaysLeft == nil:
		return ""
	case *g.DaysLeft == 0:
		return "; one of " + mde + " would most likely show by now, so it is probably smaller"
	case *g.DaysLeft == 1:
		return ", about 1 day left for " + mde
	case *g.DaysLeft > 3*365:
		return ", more than 3 years left for " + mde
	default:
		return fmt.Sprintf(", about %d days left for %s", *g.DaysLeft, mde)
	}
}

// verdict is what to know of the goal in one line: of several variations the best that is better, else what all have in common.
func (g *Goal) verdict() string {
	var best, first *Variation
	others, worse := 0, 0
	for i := range g.Variations {
		v := &g.Variations[i]
		if v.IsBaseline {
			continue
		}
		others++
		if first == nil {
			first = v
		}
		lift := v.lift()
		if lift > 0 && (best == nil || lift > best.lift()) {
			best = v
		}
		if lift < 0 {
			worse++
		}
	}
	switch {
	case others == 0:
		return "nothing to compare: there is one variation only"
	case others == 1 || first.Verdict == "" || g.Baseline() == nil || g.SampleRatio != nil && g.SampleRatio.Warning:
		return first.Verdict
	case best != nil:
		return best.Label() + ": " + best.Verdict
	case worse == others:
		return "all variations are worse than the baseline, safe to stop"
	case worse > 0:
		return fmt.Sprintf("%d of %d variations are worse than the baseline, none is better yet%s", worse, others, g.waiting())
	}
	for i := range g.Variations {
		if v := &g.Variations[i]; !v.IsBaseline && v.Note == "" {
			return v.Verdict // which is about waiting, and the same for all
		}
	}
	return first.Verdict
}

// lift is the one that was decided, 0 where none was or where rate and value disagree.
func (v *Variation) lift() float64 {
	rate, value := v.RateVsBaseline, v.ValueVsBaseline
	switch {
	case rate.Decided() && value.Decided() && rate.Better() != value.Better():
		return 0
	case rate.Decided():
		return rate.Lift
	case value.Decided():
		return value.Lift
	default:
		return 0
	}
}

// tooFew says why nothing can be compared with the variation yet, and is empty where it can.
func (v *Variation) tooFew() string {
	switch {
	case v.Mature < leastMature:
		return fmt.Sprintf("too early: the window is over for %d of %d visitors of %s, at least %d are needed", v.Mature, v.Entered, human.Quote(v.Label()), leastMature)
	case v.Converters < leastConverters:
		return fmt.Sprintf("too early: %d of %d visitors of %s converted, at least %d are needed", v.Converters, v.Mature, human.Quote(v.Label()), leastConverters)
	default:
		return ""
	}
}

// Label is what the variation is called where people read.
func (v *Variation) Label() string {
	if v.Name != "" {
		return v.Name
	}
	return v.VariationID
}

// LongLabel has the id, too, and says which one is the baseline.
func (v *Variation) LongLabel() string {
	label := v.Label()
	if v.Name != "" && v.Name != v.VariationID {
		label += " (" + v.VariationID + ")"
	}
	if v.IsBaseline {
		label += ", baseline"
	}
	return label
}

// OneLookText writes the interval of a single look.
func (c *Comparison) OneLookText() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%+.0f to %+.0f, p %s", 100*c.FixedLow, 100*c.FixedHigh, pText(c.FixedPValue))
}

// LiftText writes the lift with its interval, as +12 % (+3 to +21). It works on nil, like PText and ChanceText.
func (c *Comparison) LiftText() string {
	if c == nil {
		return ""
	}
	return c.Text(c.Places())
}

// Text is LiftText with so many decimals.
func (c *Comparison) Text(places int) string {
	return fmt.Sprintf("%+.*f %% (%+.*f to %+.*f)", places, 100*c.Lift, places, 100*c.Low, places, 100*c.High)
}

// Places are the decimals that a small interval needs.
func (c *Comparison) Places() int {
	if math.Max(math.Abs(c.Low), math.Abs(c.High)) < 0.1 {
		return 1
	}
	return 0
}

// PText writes the adjusted p value, by which verdicts go.
func (c *Comparison) PText() string {
	if c == nil {
		return ""
	}
	return pText(c.PAdjusted)
}

func pText(p float64) string {
	if p < 0.0001 {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

// ChanceText writes the chance to beat the baseline.
func (c *Comparison) ChanceText() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*c.ChanceToBeat)
}
