package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/jonboulle/clockwork"

	"github.com/tieback/tieback/warehouse"
)

// Scheduler runs the night at 00:00 UTC, and at start makes up for midnights that
// were missed (R8).
type Scheduler struct {
	runner  *Runner
	drained func(ctx context.Context, midnight time.Time) error
	clock   clockwork.Clock
	log     *slog.Logger

	cron   gocron.Scheduler
	cancel context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup
}

// drainPatience is how long a scheduled run waits for what was accepted before
// midnight to become visible. What comes later is taken by the next night.
const drainPatience = 10 * time.Minute

// NewScheduler returns a scheduler that has not started. drained returns once the
// events accepted before a midnight are in ClickHouse.
//
// Several services may share one ClickHouse, each with a scheduler: the lock of the runs lets one of them work, and the others
// find the midnight published. gocron's distributed locker is not used, since with it a job whose holder dies is left to the
// next midnight.
func NewScheduler(runner *Runner, drained func(ctx context.Context, midnight time.Time) error, clock clockwork.Clock, log *slog.Logger) (*Scheduler, error) {
	cron, err := gocron.NewScheduler(gocron.WithLocation(time.UTC), gocron.WithClock(clock))
	if err != nil {
		return nil, fmt.Errorf("create the scheduler: %w", err)
	}
	s := &Scheduler{runner: runner, drained: drained, clock: clock, log: log, cron: cron}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	_, err = cron.NewJob(
		gocron.DailyJob(1, gocron.NewAtTimes(gocron.NewAtTime(0, 0, 0))),
		gocron.NewTask(s.night),
		gocron.WithName("night"), gocron.WithSingletonMode(gocron.LimitModeWait),
	)
	if err != nil {
		return nil, fmt.Errorf("schedule the night: %w", err)
	}
	return s, nil
}

// Start begins to run nights; a missed one at once.
func (s *Scheduler) Start() {
	s.cron.Start()
	s.work.Go(func() {
		missed, err := s.missed(s.ctx)
		switch {
		case err != nil:
			s.log.Error("look for missed nights", "err", err)
		case missed:
			s.run(LastMidnight(s.clock.Now()))
		}
	})
}

// Close stops at once: a run under way is abandoned, and repaired by the next one.
func (s *Scheduler) Close() error {
	s.cancel()
	err := s.cron.Shutdown()
	s.work.Wait()
	return err
}

// missed reports whether the last midnight has not been published though there was
// something to publish.
func (s *Scheduler) missed(ctx context.Context) (bool, error) {
	midnight := LastMidnight(s.clock.Now())
	cutoff, any, err := ledger{s.runner.db}.published(ctx)
	if err != nil || any {
		return any && (cutoff.Before(midnight) || inFuture(cutoff, s.clock.Now())), err
	}
	var received uint8
	err = s.runner.db.Row(ctx, `select exists(select 1 from client_events where received_at < {cutoff:DateTime64(3, 'UTC')})
		or exists(select 1 from conversions where received_at < {cutoff:DateTime64(3, 'UTC')})`,
		warehouse.Params{"cutoff": warehouse.Time(midnight)}, &received)
	return received != 0, err
}

// early is how much before midnight a timer may fire.
const early = time.Minute

// night is what gocron calls.
func (s *Scheduler) night() {
	midnight := LastMidnight(s.clock.Now().Add(early))
	if wait := midnight.Sub(s.clock.Now()); wait > 0 {
		select {
		case <-s.ctx.Done():
			return
		case <-s.clock.After(wait):
		}
	}
	s.run(midnight)
}

func (s *Scheduler) run(midnight time.Time) {
	ctx, cancel := context.WithTimeout(s.ctx, drainPatience)
	if err := s.drained(ctx, midnight); err != nil && s.ctx.Err() == nil {
		s.log.Warn("events accepted before midnight are not all visible yet, the next night takes them", "err", err)
	}
	cancel()
	for wait := retryFirst; ; wait = min(2*wait, retryLast) {
		record, err := s.runner.Run(s.ctx, Request{Cutoff: midnight, Once: true})
		switch {
		case errors.Is(err, ErrPublished):
			s.log.Info("this midnight, or a later cutoff, was published meanwhile, so there is nothing to do", "cutoff", midnight)
			return
		case err == nil:
			s.log.Info("the night is done", "cutoff", midnight, "mode", record.Mode, "days", record.Days, "rows", record.Rows)
			return
		case s.ctx.Err() != nil:
			s.log.Warn("the night was interrupted, the next run repairs it", "cutoff", midnight)
			return
		case s.clock.Now().Sub(midnight) > day-retryLast:
			s.log.Error("the night failed, the next one makes up for it", "cutoff", midnight, "err", err)
			return
		}
		s.log.Error("the night failed and is tried again", "cutoff", midnight, "in", wait.String(), "err", err)
		select {
		case <-s.ctx.Done():
			return
		case <-s.clock.After(wait):
		}
	}
}

// A night that failed is tried again until the next one is near: what made it fail may
// be repaired, and what it would publish stays the same.
const (
	retryFirst = time.Minute
	retryLast  = time.Hour
)
