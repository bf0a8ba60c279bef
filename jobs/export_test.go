package jobs

import "time"

// SetLimits makes what is sized for production small enough to show in tests.
func (r *Runner) SetLimits(overlap time.Duration, sliceRows uint64) {
	r.overlap, r.sliceRows = overlap, sliceRows
}
