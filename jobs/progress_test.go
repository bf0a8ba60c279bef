package jobs_test

import (
	"testing"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// TestProgressKnowsTheWayFromTheRunBefore: the second run of a mode says which share of
// its work is done, never less than a moment ago, and what is left.
func TestProgressKnowsTheWayFromTheRunBefore(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	site(t, db, 20, 21)
	var told []jobs.Progress
	runner.Progress = func(p jobs.Progress) { told = append(told, p) }
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0), Full: true})
	for _, p := range told {
		if p.Share != 0 || p.Left != 0 {
			t.Fatalf("the first run ever knows how far it is: %+v", p)
		}
	}
	told = nil
	record := mustRun(t, runner, jobs.Request{Cutoff: date(22, 0), Full: true})
	for i, p := range told {
		if p.RunID != record.RunID || p.Done != i {
			t.Errorf("step %d: %+v", i, p)
		}
		if i > 0 && (p.Share < told[i-1].Share || p.Rows < told[i-1].Rows) {
			t.Errorf("from %+v back to %+v", told[i-1], p)
		}
	}
	last := told[len(told)-1]
	if last.Share < 0.7 || last.Left == 0 || last.Days != 2 || last.Rows == 0 {
		t.Errorf("at the end it says %q, %+v", last, last)
	}
	t.Log(last)
}
