package experiment

import (
	"encoding/json"
	"fmt"
	"testing"
)

// arm is a variation of 1,000 visitors unless it has more, whose value is of the converters alike.
type arm struct {
	mature, converters uint64
	value              float64 // of each who converted
}

// compared are the figures of arms, the first of which is the baseline; entered within the last 14 days if lately.
func compared(mde float64, lately, isRange bool, arms ...arm) *Goal {
	g := &Goal{EventID: "e", PlannedVisitors: 5000, MDEPercent: mde, isRange: isRange}
	for i, a := range arms {
		v := Variation{
			VariationID: fmt.Sprint("v", i), IsBaseline: i == 0, Weight: 1, Entered: a.mature, Mature: a.mature, Converters: a.converters,
			ValueTotal: json.Number(fmt.Sprint(float64(a.converters) * a.value)), valueSquares: float64(a.converters) * a.value * a.value,
		}
		if lately {
			v.enteredLately = a.mature
		}
		g.Variations = append(g.Variations, v)
	}
	g.compare()
	adjust([]*Goal{g})
	g.judge()
	return g
}

func TestVerdicts(t *testing.T) {
	base := arm{1000, 100, 0}
	for _, c := range []struct {
		g    *Goal
		want string
	}{
		{compared(10, true, false, base, arm{1000, 200, 0}), "better: +100 % (+51 to +149), safe to stop"},
		{compared(10, true, false, base, arm{1000, 20, 0}), "worse: -80 % (-113 to -47), safe to stop"},
		{compared(10, true, false, base, arm{1000, 105, 0}), "no difference seen yet, about 422 days left for ±10 %"},
		{compared(50, true, false, arm{4000, 400, 0}, arm{4000, 410, 0}), "no difference seen yet; one of ±50 % would most likely show by now, so it is probably smaller"},
		{compared(1, true, false, base, arm{1000, 105, 0}), "no difference seen yet, more than 3 years left for ±1 %"},
		{compared(1e-9, true, false, base, arm{1000, 105, 0}), "no difference seen yet; no number of visitors that can come will show one of ±1e-09 %"},
		{compared(10, false, false, base, arm{1000, 105, 0}), "no difference seen yet; nobody entered in the last 14 days, so waiting won't show one"},
		{compared(10, false, true, base, arm{1000, 105, 0}), "no difference seen yet"},
		{compared(10, false, false, arm{100_000, 50_000, 0}, arm{100_000, 50_100, 0}), "no difference seen yet; one of ±10 % would most likely show by now, so it is probably smaller"},
		{compared(10, true, false, arm{1000, 1000, 0}, arm{1000, 1000, 0}), "no difference seen yet"},
		{compared(10, true, false, arm{1000, 500, 10}, arm{1000, 500, 30}), "better by value per visitor: +200 % (+169 to +231), safe to stop; no difference in rate seen yet"},
		{compared(10, true, false, arm{1000, 500, 1}, arm{1000, 250, 10}), "mixed: rate -50 % (-63 to -37), value per visitor +400 % (+314 to +486); decide which of them counts"},
		{compared(10, true, false, base, arm{3000, 300, 0}), "check the split first: visitors are not spread as the weights say"},
		{compared(10, true, false, arm{40, 10, 0}, arm{45, 10, 0}), `too early: the window is over for 40 of 40 visitors of "v0", at least 50 are needed`},
		{compared(10, true, false, arm{400, 4, 0}, arm{405, 10, 0}), `too early: 4 of 400 visitors of "v0" converted, at least 5 are needed`},
		{compared(10, true, false, base), "nothing to compare: there is one variation only"},
		{compared(10, true, false, base, arm{1000, 20, 0}, arm{1000, 10, 0}), "all variations are worse than the baseline, safe to stop"},
		{compared(10, true, false, base, arm{1000, 20, 0}, arm{1000, 300, 0}), "v2: better: +200 % (+146 to +254), safe to stop"},
	} {
		if c.g.Verdict != c.want {
			t.Errorf("the verdict is\n%s, expected\n%s", c.g.Verdict, c.want)
		}
	}
}

// A decision is turned around where the figures say so, not where another question was added.
func TestTurnsInto(t *testing.T) {
	up := func(p, adjusted float64) *Comparison { return &Comparison{Lift: 0.1, PValue: p, PAdjusted: adjusted} }
	down := func(p, adjusted float64) *Comparison {
		return &Comparison{Lift: -0.1, PValue: p, PAdjusted: adjusted}
	}
	for _, c := range []struct {
		was, now *Comparison
		alike    bool
		want     bool
	}{
		{up(0.01, 0.02), up(0.03, 0.06), true, true},
		{up(0.01, 0.02), up(0.03, 0.06), false, false},
		{up(0.01, 0.02), up(0.06, 0.06), false, true},
		{up(0.01, 0.02), down(0.01, 0.02), true, true},
		{up(0.01, 0.02), down(0.01, 0.02), false, true},
		{down(0.01, 0.02), down(0.02, 0.04), true, false},
		{up(0.01, 0.02), nil, false, true},
		{up(0.1, 0.1), down(0.01, 0.01), true, false},
		{nil, up(0.01, 0.01), false, false},
	} {
		if got := c.was.turnsInto(c.now, c.alike); got != c.want {
			t.Errorf("from %+v to %+v, alike %t: turned around %t", c.was, c.now, c.alike, got)
		}
	}
}
