// Package stats has the statistics of experiments (R11): how an arm compares with its baseline, at any
// number of looks. docs/statistics.md gives the formulas and their sources.
package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// Sample sums up what was measured of N visitors. Variance is the unbiased one, with
// N-1 below the fraction.
type Sample struct {
	N              float64
	Mean, Variance float64
}

// SampleOf returns the sample of n measurements with that sum and sum of squares.
func SampleOf(n, sum, sumOfSquares float64) Sample {
	if n == 0 {
		return Sample{}
	}
	s := Sample{N: n, Mean: sum / n}
	if n > 1 {
		// Rounding may leave a little below zero where all measurements are equal.
		s.Variance = max(0, (sumOfSquares-sum*sum/n)/(n-1))
	}
	return s
}

// Proportion returns the sample of n visitors of whom some did. Its variance is that
// of the binomial distribution, p(1-p).
func Proportion(did, n float64) Sample {
	if n == 0 {
		return Sample{}
	}
	p := did / n
	return Sample{N: n, Mean: p, Variance: p * (1 - p)}
}

// TwoProportions tests whether two proportions differ: the z test with pooled variance,
// two-sided. ok is false where nobody did or everybody, which says nothing.
func TwoProportions(did1, n1, did2, n2 float64) (z, p float64, ok bool) {
	if n1 == 0 || n2 == 0 {
		return 0, 0, false
	}
	pooled := (did1 + did2) / (n1 + n2)
	variance := pooled * (1 - pooled) * (1/n1 + 1/n2)
	if variance == 0 {
		return 0, 0, false
	}
	z = (did2/n2 - did1/n1) / math.Sqrt(variance)
	return z, 2 * distuv.UnitNormal.Survival(math.Abs(z)), true
}

// Welch tests whether two means differ, whose variances may: Welch's t test, two-sided,
// with the degrees of freedom of Satterthwaite. ok is false where nothing varies.
func Welch(baseline, arm Sample) (t, freedom, p float64, ok bool) {
	if baseline.N < 2 || arm.N < 2 {
		return 0, 0, 0, false
	}
	b, a := baseline.Variance/baseline.N, arm.Variance/arm.N
	if a+b == 0 {
		return 0, 0, 0, false
	}
	t = (arm.Mean - baseline.Mean) / math.Sqrt(a+b)
	freedom = (a + b) * (a + b) / (a*a/(arm.N-1) + b*b/(baseline.N-1))
	students := distuv.StudentsT{Sigma: 1, Nu: freedom}
	return t, freedom, 2 * students.Survival(math.Abs(t)), true
}

// BetaBeats returns the probability that a proportion with the posterior Beta(a2, b2)
// is larger than one with Beta(a1, b1).
func BetaBeats(a1, b1, a2, b2 float64) float64 {
	first, second := distuv.Beta{Alpha: a1, Beta: b1}, distuv.Beta{Alpha: a2, Beta: b2}
	if first.StdDev() < second.StdDev() {
		return 1 - BetaBeats(a2, b2, a1, b1)
	}
	// The integral of the narrower density, here the second, times the other's distribution, which is smooth where the narrower one
	// lies, over all but 1e-12 of it. Divided by the density's own integral it does not depend on how exact that is where counts are huge.
	const left, points = 1e-12, 400
	low, high := mathext.InvRegIncBeta(a2, b2, left), 1-mathext.InvRegIncBeta(b2, a2, left)
	chance := func(x float64) float64 { return second.Prob(x) * mathext.RegIncBeta(a1, b1, x) }
	return min(1, max(0, quad.Fixed(chance, low, high, points, nil, 0)/quad.Fixed(second.Prob, low, high, points, nil, 0)))
}

// ProportionBeats returns the chance that an arm's proportion is larger than the
// baseline's, both with the uniform prior Beta(1, 1).
func ProportionBeats(baselineDid, baselineN, did, n float64) float64 {
	return BetaBeats(1+baselineDid, 1+baselineN-baselineDid, 1+did, 1+n-did)
}

// MeanBeats returns the chance that an arm's mean is larger than the baseline's, both
// posteriors normal, as they are with a flat prior and many visitors.
func (d Difference) MeanBeats() float64 { return distuv.UnitNormal.CDF(d.D / d.S) }

// SampleRatio tests whether counts are spread as their weights say: Pearson's
// chi-squared test. ok is false with less than two weights above 0, or no counts.
func SampleRatio(counts, weights []float64) (chiSquared, p float64, ok bool) {
	var total, weight float64
	arms := 0
	for i, w := range weights {
		if w > 0 {
			arms++
			weight += w
			total += counts[i]
		}
	}
	if arms < 2 || total == 0 {
		return 0, 0, false
	}
	for i, w := range weights {
		if w > 0 {
			expected := total * w / weight
			chiSquared += (counts[i] - expected) * (counts[i] - expected) / expected
		}
	}
	return chiSquared, distuv.ChiSquared{K: float64(arms - 1)}.Survival(chiSquared), true
}
