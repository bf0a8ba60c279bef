package jobs

import "time"

// SetLimits makes what is sized for production small enough to show in tests.
func (r *Runner) SetLimits(overlap time.Duration, sliceRows uint64) {
	r.overlap, r.sliceRows, r.smallRows, r.manyVisitors = overlap, sliceRows, sliceRows, 2
}

// AtOnce is tested for how its parts end.
var AtOnce = atOnce
