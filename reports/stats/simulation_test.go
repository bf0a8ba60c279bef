package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// site is what an experiment is drawn from: two arms, some visitors a day each, of whom some convert within a window, a
// part of them later than the others, and a part of whose conversions is taken back later on.
type site struct {
	visitors           int // a day and arm
	rate, lift         float64
	sigma              float64 // of the logarithm of what a conversion is worth
	window             int     // days
	late, takenBack    float64 // shares of the conversions that are reported after the window, or retracted
	days               int     // that it is looked at
	planned            float64
	leastN, leastConvs float64
}

// usual are 300 visitors a day and arm of whom 2 % convert.
func usual() site {
	return site{visitors: 300, rate: 0.02, sigma: 1, window: 7, days: 28, planned: 5000, leastN: 50, leastConvs: 5}
}

// sums are of the visitors of a day of entry: as it is known from some day on.
type sums struct{ n, converters, value, squares float64 }

// verdicts are what was said on one day.
type verdicts struct {
	rate, value   float64 // always-valid p
	fixed         float64 // of a z test on what is there
	fixedValue    float64 // of Welch's test
	better, worse bool    // by the rate
	ready         bool
}

// draw runs one experiment and returns what is said on each day.
func (s site) draw(random *rand.Rand) []verdicts {
	total := s.days + s.window
	said := make([]verdicts, 0, total)
	type change struct {
		arm, from int // from which look on
		converted float64
		value     float64
	}
	changes := make([][]change, total) // by day of entry
	for entry := range total {
		for arm := range 2 {
			rate := s.rate * (1 + s.lift*float64(arm))
			for range s.visitors {
				if random.Float64() >= rate {
					continue
				}
				value := math.Exp(4 + s.sigma*random.NormFloat64())
				at := entry + random.IntN(s.window) // within the window, the later ones too
				if random.Float64() < s.late {
					at = entry + s.window + 1 + random.IntN(10)
				}
				changes[entry] = append(changes[entry], change{arm, at, 1, value})
				if random.Float64() < s.takenBack {
					changes[entry] = append(changes[entry], change{arm, at + 1 + random.IntN(20), -1, value})
				}
			}
		}
	}
	for look := s.window; look < total; look++ {
		var arms [2]sums
		for entry := 0; entry+s.window <= look; entry++ { // mature
			for arm := range arms {
				arms[arm].n += float64(s.visitors)
			}
			for _, c := range changes[entry] {
				if c.from <= look {
					a := &arms[c.arm]
					a.converters += c.converted
					a.value += c.converted * c.value
					a.squares += c.converted * c.value * c.value
				}
			}
		}
		said = append(said, s.verdict(arms))
	}
	return said
}

func (s site) verdict(arms [2]sums) (v verdicts) {
	b, a := arms[0], arms[1]
	if min(a.n, b.n) < s.leastN || min(a.converters, b.converters) < s.leastConvs {
		return verdicts{rate: 1, value: 1, fixed: 1, fixedValue: 1}
	}
	v.ready = true
	d, _ := DifferenceOf(Proportion(b.converters, b.n), Proportion(a.converters, a.n))
	v.rate = d.PValue(s.planned)
	v.better, v.worse = v.rate < alpha && d.D > 0, v.rate < alpha && d.D < 0
	_, v.fixed, _ = TwoProportions(b.converters, b.n, a.converters, a.n)
	baseline, arm := SampleOf(b.n, b.value, b.squares), SampleOf(a.n, a.value, a.squares)
	d, _ = DifferenceOf(baseline, arm)
	v.value = d.PValue(s.planned)
	_, _, v.fixedValue, _ = Welch(baseline, arm)
	return v
}

// tally is what came of many experiments.
type tally struct {
	rate, value, fixed, fixedValue, turned float64 // shares
	days, fixedDays                        float64 // until the first verdict, median-like: the mean over those that had one
}

func (s site) many(experiments int, seed uint64) (t tally) {
	random := rand.New(rand.NewPCG(seed, 1))
	found, fixedFound := 0.0, 0.0
	for range experiments {
		var rate, value, fixed, fixedValue, turned bool
		decided := 0
		for day, v := range s.draw(random) {
			if v.rate < alpha && !rate {
				rate = true
				t.days += float64(day + 1)
				found++
			}
			if v.fixed < alpha && !fixed {
				t.fixedDays += float64(day + 1)
				fixedFound++
			}
			value, fixed, fixedValue = value || v.value < alpha, fixed || v.fixed < alpha, fixedValue || v.fixedValue < alpha
			now := 0
			if v.better {
				now = 1
			} else if v.worse {
				now = -1
			}
			turned = turned || decided != 0 && now != decided
			decided = now
		}
		for into, is := range map[*float64]bool{&t.rate: rate, &t.value: value, &t.fixed: fixed, &t.fixedValue: fixedValue, &t.turned: turned} {
			if is {
				*into++
			}
		}
	}
	n := float64(experiments)
	t.rate, t.value, t.fixed, t.fixedValue, t.turned = t.rate/n, t.value/n, t.fixed/n, t.fixedValue/n, t.turned/n
	t.days, t.fixedDays = t.days/max(found, 1), t.fixedDays/max(fixedFound, 1)
	return t
}

// Of 2,000 experiments without a difference that are looked at each day for four weeks, at most 5 % are ever called different,
// by the rate and by skewed values; a z test each day calls a third so.
func TestDailyLooksAtNoDifference(t *testing.T) {
	for _, sigma := range []float64{1, 1.5} {
		s := usual()
		s.sigma = sigma
		got := s.many(2000, uint64(10*sigma))
		t.Logf("sigma %g: always valid %.1f %% by rate, %.1f %% by value; a test each day %.1f %%, %.1f %%", sigma, 100*got.rate, 100*got.value, 100*got.fixed, 100*got.fixedValue)
		if got.rate > 0.05 || got.value > 0.05 {
			t.Errorf("called different: %+v", got)
		}
		if got.fixed < 0.15 {
			t.Errorf("a z test each day calls only %.3f different: the looks are too few to show anything", got.fixed)
		}
	}
}

// A lift that is there is found, later than by a z test each day, which is the price.
func TestDailyLooksAtADifference(t *testing.T) {
	s := usual()
	s.lift = 0.6
	got := s.many(500, 3)
	t.Logf("a lift of 60 %%: found in %.1f %% after %.1f days; a z test each day %.1f %% after %.1f", 100*got.rate, got.days, 100*got.fixed, got.fixedDays)
	if got.rate < 0.8 || got.days < got.fixedDays {
		t.Errorf("found: %+v", got)
	}
}

// Late rows and retractions turn around a verdict of the past in at most 5 % of the experiments without a difference.
func TestLateRowsTurnVerdictsAround(t *testing.T) {
	s := usual()
	s.late, s.takenBack = 0.2, 0.1
	got := s.many(2000, 4)
	t.Logf("with late rows and retractions: %.1f %% called different by rate, %.1f %% by value, %.1f %% of all verdicts turned around", 100*got.rate, 100*got.value, 100*got.turned)
	if got.rate > 0.05 || got.value > 0.05 || got.turned > 0.05 {
		t.Errorf("%+v", got)
	}
}
