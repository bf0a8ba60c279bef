// Command night measures the nightly job on this machine, in one run on the embedded
// engine, beside a plain scan of the same rows: `make bench-night`.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
)

//go:embed yardstick.sql
var yardstickSQL string

//go:embed grouped.sql
var groupedSQL string

var (
	events            = flag.Uint64("events", 20_000_000, "client events of the large day, 0 to leave it out")
	perDay            = flag.Uint64("per-day", 2_000_000, "client events of each of the many days")
	conversionsPerDay = flag.Uint64("conversions", 0, "conversions of each of them, 0 for a hundredth as many")
	days              = flag.Uint("days", 30, "how many of those there are, 0 to leave them out")
	rounds            = flag.Int("rounds", 3, "of which the median counts")
	tenfold           = flag.Bool("tenfold", true, "measure ten times the events too")
	crowds            = flag.Bool("crowds", true, "measure conversions that meet very many visitors or views")
	heavy             = flag.Uint64("heavy", 5_000_000, "client events of one visitor, 0 to leave it out")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if len(os.Args) == 3 && os.Args[1] == "engine" {
		err = chdb.Serve(ctx, os.Args[2])
	} else {
		flag.Parse()
		err = bench(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bench(ctx context.Context) error {
	var large dayFigures
	if *events > 0 {
		var err error
		if large, err = measureDay(ctx, *events, *rounds, true); err != nil {
			return err
		}
	}
	if *tenfold && *events > 0 {
		ten, err := measureDay(ctx, 10**events, 1, false)
		if err != nil {
			return err
		}
		fmt.Printf("ten times the events: %.1f times the time, %.2f times the memory\n\n",
			ten.night.Seconds()/large.night.Seconds(), float64(ten.memory)/float64(large.memory))
	}
	if *days > 0 {
		if err := measureHistory(ctx); err != nil {
			return err
		}
	}
	if *crowds {
		if err := measureCrowds(ctx); err != nil {
			return err
		}
	}
	if *heavy > 0 {
		return measureHeavy(ctx)
	}
	return nil
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// dayFigures are what a night over one day costs.
type dayFigures struct {
	night  time.Duration
	memory uint64
}

func measureDay(ctx context.Context, events uint64, rounds int, yardstick bool) (dayFigures, error) {
	s, err := newSite(ctx)
	if err != nil {
		return dayFigures{}, err
	}
	defer s.close()
	if err := s.fill(ctx, 0, events, events/10, 0); err != nil {
		return dayFigures{}, err
	}
	var rows, conversions uint64
	if err := s.db.Row(ctx, "select (select count() from client_events), (select count() from conversions)", nil, &rows, &conversions); err != nil {
		return dayFigures{}, err
	}
	req := jobs.Request{Cutoff: midnight(0), Full: true}
	watched, record, err := s.watched(ctx, req)
	if err != nil {
		return dayFigures{}, err
	}
	memory := s.watch.peak()
	var scans, nights []time.Duration
	for range rounds {
		scan, err := s.scan(ctx)
		if err != nil {
			return dayFigures{}, err
		}
		scans = append(scans, scan)
		if rounds == 1 {
			nights = append(nights, watched) // so long a night that it does not matter who looks on
			break
		}
		took, _, err := s.timed(ctx, req)
		if err != nil {
			return dayFigures{}, err
		}
		nights = append(nights, took)
	}
	fmt.Printf("%d client events and %d conversions of one day: scan %s, night %s, %.1f times the scan, %d MB more than idle at the peak\n",
		rows, conversions, median(scans).Round(time.Millisecond), median(nights).Round(time.Millisecond),
		median(nights).Seconds()/median(scans).Seconds(), memory>>20)
	if err := s.printSteps(ctx, record.RunID); err != nil {
		return dayFigures{}, err
	}
	all, account, each, err := s.results(ctx)
	if err != nil {
		return dayFigures{}, err
	}
	fmt.Printf("results of all 400 optimizations with 5 events each in one pass %s; of one account %s, its 20 optimizations in a call each %s\n",
		all.Round(time.Millisecond), account.Round(time.Millisecond), each.Round(time.Millisecond))
	if yardstick {
		if err := s.yardstick(ctx, median(nights)+all); err != nil {
			return dayFigures{}, err
		}
	}
	return dayFigures{night: median(nights), memory: memory}, nil
}

// yardstick computes the results of 20 optimizations and 5 events from the raw tables: all events of an
// optimization in one query, as such tools do at their best, and one by one, as at their worst.
func (s *site) yardstick(ctx context.Context, night time.Duration) error {
	grouped, err := s.grouped(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("the same results from raw tables, an optimization at a time: %s, night and results take %.2f of it\n",
		grouped.Round(time.Millisecond), night.Seconds()/grouped.Seconds())
	started := time.Now()
	rows := 0
	for optimization := range 20 {
		for event := range 5 {
			_, table, err := s.db.Table(ctx, yardstickSQL, warehouse.Params{
				"optimization": fmt.Sprintf("optimization-%d", optimization), "event": fmt.Sprintf("event-%d", event),
			})
			if err != nil {
				return err
			}
			rows += len(table)
		}
	}
	single := time.Since(started)
	if rows != 20*5*2 {
		return fmt.Errorf("the yardstick gave %d rows, expected one for each of 2 variations, 20 optimizations and 5 events", rows)
	}
	fmt.Printf("one optimization and event at a time: %s, night and results take %.2f of it\n\n", single.Round(time.Millisecond), night.Seconds()/single.Seconds())
	return nil
}

// grouped computes all events of an optimization in one query.
func (s *site) grouped(ctx context.Context) (time.Duration, error) {
	started := time.Now()
	rows := 0
	for optimization := range 20 {
		_, table, err := s.db.Table(ctx, groupedSQL, warehouse.Params{"optimization": fmt.Sprintf("optimization-%d", optimization)})
		if err != nil {
			return 0, err
		}
		rows += len(table)
	}
	if rows != 20*5*2 {
		return 0, fmt.Errorf("the grouped yardstick gave %d rows, expected one for each of 2 variations, 20 optimizations and 5 events", rows)
	}
	return time.Since(started), nil
}

// measureHistory compares a night over one new day with a rebuild of all.
func measureHistory(ctx context.Context) error {
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for day := range *days {
		if err := s.fill(ctx, day, *perDay, *perDay/5, *conversionsPerDay); err != nil {
			return err
		}
	}
	rebuild, _, err := s.timed(ctx, jobs.Request{Cutoff: midnight(*days - 1)})
	if err != nil {
		return err
	}
	empty, _, err := s.timed(ctx, jobs.Request{Cutoff: midnight(*days - 1)})
	if err != nil {
		return err
	}
	var nights []time.Duration
	for i := range uint(*rounds) {
		if err := s.fill(ctx, *days+i, *perDay, *perDay/5, *conversionsPerDay); err != nil {
			return err
		}
		night, _, err := s.timed(ctx, jobs.Request{Cutoff: midnight(*days + i)})
		if err != nil {
			return err
		}
		nights = append(nights, night)
	}
	if err := s.measureWindows(ctx, *days+uint(*rounds), median(nights)); err != nil {
		return err
	}
	next := *days + 2*uint(*rounds)
	if err := s.fill(ctx, next, *perDay, *perDay/5, *conversionsPerDay); err != nil {
		return err
	}
	_, last, err := s.watched(ctx, jobs.Request{Cutoff: midnight(next)})
	if err != nil {
		return err
	}
	from := midnight(0).AddDate(0, 0, -1)
	to := from.AddDate(0, 0, int(*days)-1)
	rerun, _, err := s.timed(ctx, jobs.Request{From: &from, To: &to})
	if err != nil {
		return err
	}
	fmt.Printf("%d days of %d client events: rebuild %s, empty night %s, night over one more day %s, %.3f of the rebuild, re-run of %d days %s\n",
		*days, *perDay, rebuild.Round(time.Millisecond), empty.Round(time.Millisecond), median(nights).Round(time.Millisecond),
		median(nights).Seconds()/rebuild.Seconds(), *days, rerun.Round(time.Millisecond))
	grouped, err := s.grouped(ctx)
	if err != nil {
		return err
	}
	// A refresh reads all days so far: over the days about half of what the last one costs, each day.
	held := float64(*days) + 2*float64(*rounds) + 1
	refreshes := grouped.Seconds() / held * float64(*days) * (float64(*days) + 1) / 2
	fmt.Printf("the same results from raw tables, an optimization at a time, over %.0f days: %s; refreshed on each of %d days about %.0f s, the nights take %.3f of it\n",
		held, grouped.Round(time.Millisecond), *days, refreshes, median(nights).Seconds()*float64(*days)/refreshes)
	return s.printSteps(ctx, last.RunID)
}

// measureWindows has half of the events under a window of 30 days from the first of some more days on, and
// then for all that there are.
func (s *site) measureWindows(ctx context.Context, first uint, without time.Duration) error {
	if err := s.setWindows(ctx, midnight(first-1)); err != nil {
		return err
	}
	var nights []time.Duration
	var record jobs.Record
	for i := range uint(*rounds) {
		if err := s.fill(ctx, first+i, *perDay, *perDay/5, *conversionsPerDay); err != nil {
			return err
		}
		night, last, err := s.timed(ctx, jobs.Request{Cutoff: midnight(first + i)})
		if err != nil {
			return err
		}
		nights, record = append(nights, night), last
	}
	if err := s.setWindows(ctx, midnight(0).AddDate(0, 0, -1)); err != nil {
		return err
	}
	all, changed, err := s.timed(ctx, jobs.Request{Cutoff: midnight(first + uint(*rounds) - 1)})
	if err != nil {
		return err
	}
	fmt.Printf("half of the events under a window of 30 days: night %s, %.2f times the one without; set for all %d days %s, which publishes %d days\n",
		median(nights).Round(time.Millisecond), median(nights).Seconds()/without.Seconds(), first+uint(*rounds), all.Round(time.Millisecond), changed.Days)
	return s.printSteps(ctx, record.RunID)
}

// measureHeavy has one visitor with very many events, a second apart for days.
func measureHeavy(ctx context.Context) error {
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	err = s.db.Exec(ctx, `insert into client_events (customer_id, visitor_id, type, optimization_id, variation_id, occurred_at, received_at, ingest_id)
		select 'site-1', 'robot', 'view', 'optimization-1', 'a', toDateTime64('2025-06-01 00:00:00', 3, 'UTC') + toIntervalMillisecond(number * 1000) as at, at, generateUUIDv7(number)
		from numbers({heavy:UInt64})`, warehouse.Params{"heavy": *heavy})
	if err != nil {
		return err
	}
	took, record, err := s.watched(ctx, jobs.Request{})
	if err != nil {
		return err
	}
	fmt.Printf("one visitor with %d client events, a second apart: night %s, %d days, %d MB more than idle at the peak\n",
		*heavy, took.Round(time.Millisecond), record.Days, s.watch.peak()>>20)
	return s.printSteps(ctx, record.RunID)
}
