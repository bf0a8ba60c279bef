package admin

import (
	"context"
	"sync"
	"time"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
)

var (
	// errRunning says that a run started here has not ended.
	errRunning = refuse.Conflictf("a run that was started here is still under way; wait for its end")
	errClosed  = refuse.Conflictf("the service is stopping; start the run when it is back")
)

// runs executes one run at a time in the background. The runs of other processes and of
// the scheduler hold the same lock, so that one waits for the other.
type runs struct {
	cfg Config

	mu     sync.Mutex
	last   *runState // nil before the first
	cancel context.CancelFunc
	closed bool
	work   sync.WaitGroup
}

// runState is a run that was started here, under way or ended.
type runState struct {
	State     string  `json:"state"` // waiting, running, done or failed
	RunID     string  `json:"runId,omitempty"`
	StartedAt int64   `json:"startedAt"` // Unix milliseconds, like all times
	EndedAt   int64   `json:"endedAt,omitempty"`
	Step      string  `json:"step,omitempty"`
	Steps     int     `json:"steps"`            // done
	Days      uint64  `json:"days"`             // computed anew; 0 while that is not known
	Rows      uint64  `json:"rows"`             // written so far
	Share     float64 `json:"share"`            // of the work, 0 to 1; 0 while not known
	LeftMS    int64   `json:"leftMs,omitempty"` // likely
	Error     string  `json:"error,omitempty"`
}

const (
	runWaiting = "waiting" // for what was accepted before it to become visible, and for other runs
	drainFor   = 30 * time.Second
)

func newRuns(cfg Config) *runs { return &runs{cfg: cfg} }

func (r *runs) start(req jobs.Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	if r.last != nil && r.last.EndedAt == 0 {
		return errRunning
	}
	r.last = &runState{State: runWaiting, StartedAt: ms(r.cfg.Now())}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.work.Go(func() {
		defer cancel()
		r.run(ctx, req)
	})
	return nil
}

func (r *runs) run(ctx context.Context, req jobs.Request) {
	settled, cancel := context.WithTimeout(ctx, drainFor)
	_ = r.cfg.Drained(settled) // what stays in the spool is taken by a later run
	cancel()
	runner := jobs.NewRunner(r.cfg.DB, r.cfg.Now, r.cfg.Log)
	runner.Memory = r.cfg.NightMemory
	runner.Progress = r.progress
	record, err := runner.Run(ctx, req)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.last
	s.State, s.EndedAt, s.Step, s.LeftMS = jobs.StateDone, ms(r.cfg.Now()), "", 0
	s.RunID, s.Days, s.Rows, s.Share = record.RunID, uint64(record.Days), record.Rows, 1
	if err != nil {
		s.State, s.Error = jobs.StateFailed, "what was published before stays, and the next run repairs the rest. "+err.Error()
		r.cfg.Log.Error("the run that was started by hand failed", "err", err)
	}
}

func (r *runs) progress(p jobs.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.last
	s.State, s.RunID, s.Step, s.Steps, s.Days, s.Rows = jobs.StateRunning, p.RunID, jobs.StepText(p.Step), p.Done, p.Days, p.Rows
	s.Share, s.LeftMS = p.Share, p.Left.Milliseconds()
}

// current returns a copy of the last state, nil where no run was started here.
func (r *runs) current() *runState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return nil
	}
	state := *r.last
	return &state
}

func (r *runs) close() {
	r.mu.Lock()
	r.closed = true
	if r.cancel != nil {
		r.cancel()
	}
	r.mu.Unlock()
	r.work.Wait()
}
