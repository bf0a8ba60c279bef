package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// alpha is the error that intervals and tests may make, two-sided.
const alpha = 0.05

// Difference is that of an arm's mean from its baseline's.
type Difference struct {
	D float64 // the difference
	S float64 // its standard error
	N float64 // measurements of both together
}

// DifferenceOf compares two samples. ok is false where nothing varies or one is empty.
func DifferenceOf(baseline, arm Sample) (d Difference, ok bool) {
	if baseline.N == 0 || arm.N == 0 {
		return Difference{}, false
	}
	d = Difference{D: arm.Mean - baseline.Mean, S: math.Sqrt(baseline.Variance/baseline.N + arm.Variance/arm.N), N: baseline.N + arm.N}
	return d, d.S > 0
}

// rho2 tunes the sequence to be tightest at planned measurements (Waudby-Smith and others, 2021, B.2).
func rho2(planned float64) float64 {
	return (-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / planned
}

// HalfWidth is the half of the interval that holds the true difference at every look, however many there are, with 95 %: an
// asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory
// and asymptotic confidence sequences, 2021, theorem 2.2). It is tightest at planned measurements.
func (d Difference) HalfWidth(planned float64) float64 {
	nr := d.N * rho2(planned)
	return d.S * math.Sqrt(2*(nr+1)/nr*math.Log(math.Sqrt(nr+1)/alpha))
}

// PValue is valid at every look: it is below 0.05 where 0 lies outside the interval of HalfWidth, and only there.
func (d Difference) PValue(planned float64) float64 {
	nr := d.N * rho2(planned)
	z := d.D / d.S
	return min(1, math.Sqrt(nr+1)*math.Exp(-nr*z*z/(2*(nr+1))))
}

// OneLook is the half of the interval for a single look, of a normal distribution.
func (d Difference) OneLook() float64 {
	return distuv.UnitNormal.Quantile(1-alpha/2) * d.S
}

// OneLookOfMeans is OneLook by Student's distribution with freedom degrees of freedom, as Welch has them.
func (d Difference) OneLookOfMeans(freedom float64) float64 {
	return distuv.StudentsT{Sigma: 1, Nu: freedom}.Quantile(1-alpha/2) * d.S
}

// TimesMore returns how many times as many measurements it takes until a true difference would make the interval of HalfWidth
// leave out 0 with 80 %: 1 where there are enough. ok is false where no number does.
func (d Difference) TimesMore(difference, planned float64) (times float64, ok bool) {
	if difference == 0 || d.S <= 0 || math.IsNaN(difference) {
		return 0, false
	}
	const power = 0.8
	found := func(k float64) bool {
		at := Difference{N: k * d.N, S: d.S / math.Sqrt(k)}
		h, x := at.HalfWidth(planned), math.Abs(difference)
		return distuv.UnitNormal.CDF((x-h)/at.S)+distuv.UnitNormal.CDF((-x-h)/at.S) >= power
	}
	if found(1) {
		return 1, true
	}
	low, high := 1.0, 2.0
	for ; !found(high); low, high = high, 2*high {
		if high > 1e12 {
			return 0, false
		}
	}
	for range 100 {
		middle := (low + high) / 2
		if found(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, true
}

// Holm adjusts p values that belong together, so that the chance of any false one among them stays what it is for one (Holm: A simple
// sequentially rejective multiple test procedure, 1979). The order stays.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	adjusted := make([]float64, len(p))
	most := 0.0
	for rank, i := range order {
		most = max(most, min(1, p[i]*float64(len(p)-rank)))
		adjusted[i] = most
	}
	return adjusted
}
