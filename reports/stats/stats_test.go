package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// within fails unless got is want to the digits that its source prints.
func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s is %.12g, published as %.12g", what, got, want)
	}
}

func TestTwoProportionsAsPublished(t *testing.T) {
	// statsmodels' proportions_ztest, printed by many A/B testing notebooks.
	z, p, _ := TwoProportions(17489, 145274, 17264, 145310)
	within(t, "z", z, -1.3109241984234394, 1e-13)
	within(t, "p", p, 0.18988337448195103, 1e-13)
	// spotify/confidence, tests/frequentist/test_chisquared.py.
	_, p, _ = TwoProportions(42, 104, 500, 1009)
	within(t, "p", p, 7.48661891e-02, 5e-11)
	_, p, _ = TwoProportions(40, 100, 50, 100)
	within(t, "p", p, 0.155218, 5e-7)
	// OpenStax, Introductory Statistics, 10.3: medications against hives.
	_, p, _ = TwoProportions(12, 200, 20, 200)
	within(t, "p", p, 0.1404, 5e-5)
}

func TestWelchAsPublished(t *testing.T) {
	square := func(x float64) float64 { return x * x }
	// The NAG library's example of g07ca.
	tt, freedom, p, _ := Welch(Sample{8, 21.0, square(4.2083)}, Sample{4, 25.0, square(0.8185)})
	within(t, "t", tt, 2.5922, 5e-5)
	within(t, "degrees of freedom", freedom, 7.9925, 5e-5)
	within(t, "p", p, 0.0320, 5e-5)
	// Boost.Math's two-sample example, on NIST's car mileage.
	tt, freedom, p, _ = Welch(Sample{79, 30.48101, square(6.10771)}, Sample{249, 20.14458, square(6.41470)})
	within(t, "t", tt, -12.94627, 5e-6)
	within(t, "degrees of freedom", freedom, 136.87499, 5e-6)
	within(t, "p", p, 1.571e-25, 5e-29)
	// GrowthBook, packages/stats/tests/frequentist/test_tests.py.
	_, _, p, _ = Welch(Sample{3407, 0.41, square(3.9)}, Sample{3461, 0.70, square(6.2)})
	within(t, "p", p, 0.02016, 5e-6)
}

// shown is what is compared, relative to the baseline's mean.
func shown(baseline, arm Sample, planned float64) (lift, low, high float64) {
	d, _ := DifferenceOf(baseline, arm)
	h := d.HalfWidth(planned)
	return d.D / baseline.Mean, (d.D - h) / baseline.Mean, (d.D + h) / baseline.Mean
}

func TestSequenceAsWorkedOut(t *testing.T) {
	// The data of GrowthBook's sequential tests (packages/stats/tests/frequentist/test_tests.py). On the ratio's scale, with the
	// standard error of the delta method, they print -0.55844 to 1.56516 and 0.40098 to 0.60675; ours is on the difference.
	lift, low, high := shown(SampleOf(3000, 1396.87, 52377.9767), SampleOf(3461, 2422.7, 134698.29), 1000)
	within(t, "lift of value", lift, 0.50336, 5e-6)
	within(t, "low end", low, -0.38462, 5e-6)
	within(t, "high end", high, 1.39134, 5e-6)
	lift, low, high = shown(Proportion(1396, 3000), Proportion(2422, 3461), 5000)
	within(t, "lift of rate", lift, 0.50386, 5e-6)
	within(t, "low end", low, 0.42561, 5e-6)
	within(t, "high end", high, 0.58212, 5e-6)
	ratio := func(b, a Sample, planned float64) (low, high float64) {
		s := math.Sqrt(a.Variance/(a.N*b.Mean*b.Mean) + a.Mean*a.Mean*b.Variance/(b.N*math.Pow(b.Mean, 4)))
		h := Difference{S: s, N: a.N + b.N}.HalfWidth(planned)
		return a.Mean/b.Mean - 1 - h, a.Mean/b.Mean - 1 + h
	}
	low, high = ratio(SampleOf(3000, 1396.87, 52377.9767), SampleOf(3461, 2422.7, 134698.29), 1000)
	within(t, "low end by the ratio", low, -0.55844, 5e-6)
	within(t, "high end by the ratio", high, 1.56516, 5e-6)
	low, high = ratio(Proportion(1396, 3000), Proportion(2422, 3461), 5000)
	within(t, "low end by the ratio", low, 0.40098, 5e-6)
	within(t, "high end by the ratio", high, 0.60675, 5e-6)
}

// The interval leaves 0 out exactly where p is below 0.05, and with one look the familiar one is inside it.
func TestIntervalAndPAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	found := 0
	for range 10_000 {
		d := Difference{D: 5 * random.NormFloat64(), S: 0.1 + random.Float64()*2, N: 100 + random.Float64()*1e5}
		planned := 100 + random.Float64()*1e5
		outside := math.Abs(d.D) > d.HalfWidth(planned)
		if p := d.PValue(planned); outside != (p < alpha) {
			t.Fatalf("%+v planned for %g: p = %g, half-width %g", d, planned, p, d.HalfWidth(planned))
		}
		if d.OneLook() > d.HalfWidth(planned) {
			t.Fatalf("%+v planned for %g: one look %g is wider than %g", d, planned, d.OneLook(), d.HalfWidth(planned))
		}
		if outside {
			found++
		}
	}
	if found < 100 || found > 9900 {
		t.Errorf("%d differ", found)
	}
}

func TestHolmAsPublished(t *testing.T) {
	for _, published := range []struct{ p, adjusted []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005, 0.55, 0.6}, []float64{0.05, 0.12, 0.12, 0.03, 1, 1}},
		// The example of the article on the Holm-Bonferroni method in Wikipedia: 0.01, 0.04, 0.03, 0.005 are accepted as 0.03, 0.06, 0.06, 0.02.
		{[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}},
		{nil, nil},
	} {
		for i, p := range Holm(published.p) {
			within(t, "adjusted", p, published.adjusted[i], 1e-12)
		}
	}
}

// TimesMore is the inverse of the power: at that many times the measurements a draw of the difference is found in 80 %.
func TestTimesMore(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	d, _ := DifferenceOf(Proportion(100, 2000), Proportion(104, 2000))
	times, ok := d.TimesMore(0.1*0.05, 5000)
	if !ok || times < 2 {
		t.Fatalf("%g times, %v", times, ok)
	}
	at := Difference{N: d.N * times, S: d.S / math.Sqrt(times)}
	found := 0.0
	const draws = 20_000
	for range draws {
		if math.Abs(0.005+at.S*random.NormFloat64()) > at.HalfWidth(5000) {
			found++
		}
	}
	within(t, "share found", found/draws, 0.8, 0.01)
	if times, ok := d.TimesMore(0.05, 5000); !ok || times != 1 {
		t.Errorf("a large one needs %g times as many, %v", times, ok)
	}
	if _, ok := d.TimesMore(0, 5000); ok {
		t.Error("no difference is ever found")
	}
}

func TestSampleRatioAsPublished(t *testing.T) {
	// Kohavi and others: 821,588 against 815,482 where half was due to each.
	_, p, _ := SampleRatio([]float64{821588, 815482}, []float64{1, 1})
	within(t, "p", p, 1.8e-6, 5e-8)
	// GrowthBook, packages/stats/tests/test_gbstats.py.
	_, p, _ = SampleRatio([]float64{1000, 1200}, []float64{0.5, 0.5})
	within(t, "p", p, 0.000020079, 5e-10)
	// OpenStax, Introductory Statistics, 11.2.
	chiSquared, p, _ := SampleRatio([]float64{20, 57, 23}, []float64{0.25, 0.5, 0.25})
	within(t, "chi-squared", chiSquared, 2.14, 5e-3)
	within(t, "p", p, 0.3430, 5e-5)
}

func TestBetaBeatsAsPublished(t *testing.T) {
	// John D. Cook, A Bayesian view of Amazon resellers.
	within(t, "chance", BetaBeats(3, 1, 91, 11), 0.713, 5e-4)
	within(t, "its digits", BetaBeats(3, 1, 91, 11), 0.7125928041, 1e-9)
	// PostHog, test_experiment_result.py, which simulates them.
	within(t, "chance", ProportionBeats(100, 118, 100, 110), 0.918, 5e-3)
	within(t, "chance", ProportionBeats(267, 2298, 286, 2300), 0.802, 5e-3)
	within(t, "equal arms", ProportionBeats(500, 10000, 500, 10000), 0.5, 1e-9)
	within(t, "large arms", ProportionBeats(50_000, 1e7, 52_000, 1e7), 1, 1e-9)
	within(t, "small arms", ProportionBeats(0, 1, 0, 1), 0.5, 1e-9)
}

// An arm may be much larger than the other one. The chances were integrated piecewise with 30 digits over the narrower posterior.
func TestBetaBeatsOfUnequalArms(t *testing.T) {
	for _, c := range []struct{ did1, n1, did2, n2, chance float64 }{
		{100_000, 1_000_000, 5, 50, 0.597623003}, {1_000_000, 10_000_000, 105, 1_000, 0.718487769},
		{500, 1_000, 1_000, 1_000, 1}, {1_000, 1_001, 100_000, 100_000, 0.9999016810}, {92, 93, 3_624, 3_624, 0.9993677698}, {1e9, 2e9, 1e9, 2e9, 0.5},
		{200_000, 2_000_000, 105, 1_000, 0.718440404}, {60_000, 600_000, 110, 1_000, 0.862648354},
	} {
		within(t, fmt.Sprint(c), ProportionBeats(c.did1, c.n1, c.did2, c.n2), c.chance, 1e-8)
		within(t, fmt.Sprint("the other way round ", c), ProportionBeats(c.did2, c.n2, c.did1, c.n1), 1-c.chance, 1e-8)
	}
}

func TestNothingToSay(t *testing.T) {
	empty, same := Sample{}, SampleOf(10, 50, 250)
	if _, ok := DifferenceOf(empty, same); ok {
		t.Error("a difference from nobody")
	}
	if _, ok := DifferenceOf(same, same); ok {
		t.Error("a difference of what does not vary")
	}
	for _, counts := range [][4]float64{{0, 0, 1, 2}, {0, 5, 0, 5}, {5, 5, 5, 5}} {
		if _, p, ok := TwoProportions(counts[0], counts[1], counts[2], counts[3]); ok {
			t.Errorf("p = %v of %v", p, counts)
		}
	}
	if _, _, _, ok := Welch(same, same); ok {
		t.Error("a test of what does not vary")
	}
	for _, weights := range [][]float64{{1, 0}, {0, 0}, {1}} {
		if _, _, ok := SampleRatio([]float64{5, 5}[:len(weights)], weights); ok {
			t.Errorf("a ratio by %v", weights)
		}
	}
}

// experiment draws two arms of n visitors and returns the p-values of rate and value.
func experiment(random *rand.Rand, n int, rate, lifted float64) (ofRate, ofValue float64) {
	var did [2]float64
	var values [2]Sample
	for arm, rate := range []float64{rate, lifted} {
		var sum, squares float64
		for range n {
			if random.Float64() < rate {
				value := math.Exp(4 + 0.5*random.NormFloat64())
				did[arm]++
				sum += value
				squares += value * value
			}
		}
		values[arm] = SampleOf(float64(n), sum, squares)
	}
	_, ofRate, _ = TwoProportions(did[0], float64(n), did[1], float64(n))
	_, _, ofValue, _ = Welch(values[0], values[1])
	return ofRate, ofValue
}

// In 1,000 experiments of two equal arms about 5 % are called different.
func TestFalsePositives(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const experiments = 1000
	var rates, values float64
	for range experiments {
		ofRate, ofValue := experiment(random, 2000, 0.05, 0.05)
		if ofRate < 0.05 {
			rates++
		}
		if ofValue < 0.05 {
			values++
		}
	}
	within(t, "share of rates called different", rates/experiments, 0.05, 0.015)
	within(t, "share of values called different", values/experiments, 0.05, 0.015)
}

// A lift of 10 % is found as often as theory says.
func TestPower(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const experiments, n, rate, lifted = 400, 5000, 0.20, 0.22
	found := 0.0
	for range experiments {
		if p, _ := experiment(random, n, rate, lifted); p < 0.05 {
			found++
		}
	}
	// Power of the pooled test, as R's power.prop.test has it.
	pooled := (rate + lifted) / 2
	under := distuv.UnitNormal.Quantile(0.975) * math.Sqrt(2*pooled*(1-pooled))
	power := distuv.UnitNormal.CDF((math.Sqrt(n)*(lifted-rate) - under) / math.Sqrt(rate*(1-rate)+lifted*(1-lifted)))
	within(t, "share found", found/experiments, power, 0.06)
}
