package jobs

import "time"

// SetLimits makes what is sized for production small enough to show in tests. More new rows
// than fit into a slice are not few.
func (r *Runner) SetLimits(overlap time.Duration, sliceRows uint64) {
	r.overlap, r.rowsAtOnce, r.daySliceRows, r.fewRows = overlap, sliceRows, sliceRows, sliceRows
}

// AtOnce is tested for how its parts end.
var AtOnce = atOnce
