package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/tieback/tieback/bench/quiet"
	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

//go:embed events.sql
var eventsSQL string

//go:embed conversions.sql
var conversionsSQL string

//go:embed scan.sql
var scanSQL string

// site is a data folder with an engine of its own.
type site struct {
	dir    string
	db     *warehouse.DB
	runner *jobs.Runner
	watch  watch
}

func newSite(ctx context.Context) (*site, error) {
	dir, err := os.MkdirTemp("", "tieback-bench-*")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if _, _, err := s.db.Migrate(ctx); err != nil {
		return nil, err
	}
	err = catalog.NewStore(s.db, time.Now).Change(ctx, "bench", func(e *catalog.Edit) error {
		for customer := range 20 {
			for event := range 5 {
				name := fmt.Sprintf("event-%d", event)
				err := e.PutName(catalog.EventName{CustomerID: fmt.Sprintf("site-%d", customer), EventID: name, APIName: name, From: time.UnixMilli(0)})
				if err != nil {
					return err
				}
			}
			if err := putOptimizations(e, fmt.Sprintf("site-%d", customer)); err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

// putOptimizations has all five events as goals of all optimizations of an account.
func putOptimizations(e *catalog.Edit, customerID string) error {
	var goals []catalog.Goal
	for event := range 5 {
		goals = append(goals, catalog.Goal{EventID: fmt.Sprintf("event-%d", event)})
	}
	for n := range 20 {
		o := catalog.Optimization{CustomerID: customerID, OptimizationID: fmt.Sprintf("optimization-%d", n), Name: "Optimization"}
		if err := e.ReplaceOptimization(o, []catalog.Variation{{VariationID: "a", Weight: 1}, {VariationID: "b", Weight: 1}}, slices.Clone(goals)); err != nil {
			return err
		}
	}
	return nil
}

// results returns how long the results of all accounts take, those of one account, and those of its 20 optimizations in a call each.
func (s *site) results(ctx context.Context) (all, account, each time.Duration, err error) {
	snap, err := catalog.NewStore(s.db, time.Now).Load(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	cutoff, version, err := jobs.Published(ctx, s.db)
	if err != nil {
		return 0, 0, 0, err
	}
	load := func(customerID, optimizationID string) time.Duration {
		started := time.Now()
		answers, loadErr := experiment.Load(ctx, s.db, snap, experiment.Question{CustomerID: customerID, OptimizationID: optimizationID, Cutoff: cutoff, Version: version})
		if loadErr != nil || len(answers) == 0 {
			err = errors.Join(err, loadErr, errors.New("no answers"))
		}
		return time.Since(started)
	}
	all, account = load("", ""), load("site-1", "")
	for n := range 20 {
		each += load("site-1", fmt.Sprintf("optimization-%d", n))
	}
	return all, account, each, err
}

// setWindows gives half of the events a window of 30 days from a moment on.
func (s *site) setWindows(ctx context.Context, from time.Time) error {
	return catalog.NewStore(s.db, time.Now).Change(ctx, "bench", func(e *catalog.Edit) error {
		for customer := range 20 {
			for event := range 5 {
				if (customer+event)%2 == 0 {
					continue
				}
				if err := e.SetRule(fmt.Sprintf("site-%d", customer), fmt.Sprintf("event-%d", event), catalog.Rule{WindowDays: 30, Credit: catalog.CreditLast}, from); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// open starts an engine. One that is new has nothing in memory yet.
func (s *site) open(ctx context.Context) (err error) {
	log := slog.New(slog.DiscardHandler)
	if s.db != nil {
		if err := s.db.Close(); err != nil {
			return err
		}
	}
	s.db, err = warehouse.Open(ctx, warehouse.Config{DataDir: s.dir, EngineCommand: []string{os.Args[0], "engine"}, Log: log})
	s.runner, s.watch = jobs.NewRunner(s.db, time.Now, log), watch{dir: s.dir, db: s.db}
	return err
}

func (s *site) close() {
	_ = s.db.Close()
	_ = os.RemoveAll(s.dir)
}

// fill generates a day with about that many client events, and so many conversions, 0 for a
// hundredth as many.
func (s *site) fill(ctx context.Context, day uint, events, visitors, conversions uint64) error {
	if conversions == 0 {
		conversions = events / 100
	}
	const eventsPerSession = 8.5
	params := warehouse.Params{"day": day, "visitors": visitors, "sessions": uint64(float64(events) / eventsPerSession), "conversions": conversions}
	if err := s.db.Exec(ctx, eventsSQL, params.For(eventsSQL)); err != nil {
		return err
	}
	return s.db.Exec(ctx, conversionsSQL, params.For(conversionsSQL))
}

// midnight is the one after a day.
func midnight(day uint) time.Time {
	return time.Date(2025, 6, 2+int(day), 0, 0, 0, 0, time.UTC)
}

// timed runs once.
func (s *site) timed(ctx context.Context, req jobs.Request) (time.Duration, jobs.Record, error) {
	if err := quiet.Merged(ctx, s.db); err != nil {
		return 0, jobs.Record{}, err
	}
	started := time.Now()
	record, err := s.runner.Run(ctx, req)
	return time.Since(started), record, err
}

// watched runs once with a look at the engine between the steps, which takes some time
// itself. The engine is a new one: else the run would use what it kept of those before.
func (s *site) watched(ctx context.Context, req jobs.Request) (time.Duration, jobs.Record, error) {
	if err := quiet.Merged(ctx, s.db); err != nil {
		return 0, jobs.Record{}, err
	}
	if err := s.open(ctx); err != nil {
		return 0, jobs.Record{}, err
	}
	s.watch.begin(ctx)
	s.runner.Progress = func(p jobs.Progress) { s.watch.next(ctx, p.Step) }
	defer func() { s.runner.Progress = nil }()
	took, record, err := s.timed(ctx, req)
	s.watch.next(ctx, "")
	return took, record, err
}

func (s *site) scan(ctx context.Context) (time.Duration, error) {
	if err := quiet.Merged(ctx, s.db); err != nil {
		return 0, err
	}
	started := time.Now()
	_, _, err := s.db.Table(ctx, scanSQL, nil)
	return time.Since(started), err
}

func (s *site) printSteps(ctx context.Context, runID string) error {
	steps, err := jobs.SlowestSteps(ctx, s.db, runID, 50)
	if err != nil {
		return err
	}
	for _, step := range steps {
		fmt.Printf("    %-30s %7d ms %11d rows read %10d written %6d MB\n",
			step.Step, step.DurationMS, s.watch.read(step.Step), step.Rows, s.watch.of(step.Step)>>20)
	}
	fmt.Println()
	return nil
}
