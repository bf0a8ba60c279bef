package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tieback/tieback/warehouse"
)

// Progress is how far a run is.
type Progress struct {
	RunID   string
	Step    string // that begins
	Done    int    // statements that began before it
	Rows    uint64 // written so far, the working set included
	Days    uint64 // that are computed; 0 while that is not known
	Elapsed time.Duration
	Share   float64       // of the work that is done, measured by the last run of the same mode; 0 while not known
	Left    time.Duration // likely; 0 while not known
}

// String returns it in a line.
func (p Progress) String() string {
	line := fmt.Sprintf("step %d, %s", p.Done+1, p.Step)
	switch {
	case p.Days == 1:
		line += ", 1 day"
	case p.Days > 1:
		line += fmt.Sprintf(", %d days", p.Days)
	}
	if seconds := p.Elapsed.Seconds(); seconds >= 1 {
		line += fmt.Sprintf(", %d rows, %.0f a second", p.Rows, float64(p.Rows)/seconds)
	}
	if p.Left > 0 {
		line += fmt.Sprintf(", %.0f %%, about %s left", 100*p.Share, p.Left.Round(time.Second))
	}
	return line
}

// pace follows a run, notes its steps, and compares it with the one before. Its methods
// may be called by lanes of the plan that go on at the same time.
type pace struct {
	mu sync.Mutex
	Progress
	record *Record
	begun  time.Time
	before map[string]time.Duration // of one execution of each step in the last run of that mode
	total  time.Duration            // of all of it
	passed time.Duration            // what the steps behind us took then
}

// newPace reads how long the last run of the mode that had something to do took for what.
func newPace(ctx context.Context, db *warehouse.DB, record *Record) (*pace, error) {
	p := &pace{Progress: Progress{RunID: record.RunID}, record: record, begun: time.Now(), before: map[string]time.Duration{}}
	var steps []struct {
		Step       string `ch:"step"`
		DurationMS uint64 `ch:"duration_ms"`
		Times      uint64 `ch:"times"`
	}
	err := db.Select(ctx, &steps, `select step, sum(run_steps.duration_ms) as duration_ms, count() as times from run_steps
		where run_id = (select argMax(run_id, version) from run_log where state = 'done' and mode = {mode:String} and days > 0)
		group by step`, warehouse.Params{"mode": record.Mode})
	if err != nil {
		return nil, fmt.Errorf("read the steps of the run before: %w", err)
	}
	for _, s := range steps {
		took := time.Duration(s.DurationMS) * time.Millisecond
		p.before[s.Step] = took / time.Duration(s.Times)
		p.total += took
	}
	return p, nil
}

// begins reports the progress as a step begins. What is left is extrapolated from the
// share of the run before that lies behind, so that it fits a larger run too.
func (p *pace) begins(step string, report func(Progress)) {
	if report == nil {
		return
	}
	const enough = 0.02 // a smaller share says nothing about the rest
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Step, p.Elapsed = step, time.Since(p.begun)
	if p.total > 0 {
		p.Share = min(float64(p.passed)/float64(p.total), 0.99)
	}
	p.Left = 0
	if p.Share > enough {
		p.Left = time.Duration(float64(p.Elapsed) * (1 - p.Share) / p.Share)
	}
	report(p.Progress)
	p.Done++
}

// computes notes how many days are computed, once that is known.
func (p *pace) computes(days int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Days = uint64(days)
}

// passes says that one of so many executions of a step lies behind.
func (p *pace) passes(step string, executions int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed += p.before[step] / time.Duration(executions)
}

// ended notes a step that is done.
func (p *pace) ended(step string, started time.Time, took time.Duration, written uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.note(step, started, took, written)
	p.Rows += written
}

// passedBy notes what is not a step, but takes time.
func (p *pace) passedBy(name string, started time.Time, took time.Duration, rows uint64) {
	p.passes(name, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.note(name, started, took, rows)
}
