package dashboards_test

import (
	"cmp"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var (
	busyDays   = flag.Uint("days", 0, "days of a busy site over which to time the panels; 0 for none")
	busyPerDay = flag.Uint64("per-day", 50_000, "its client events a day")
)

// TestPanelsOfABusySite times every panel over all days of a busy site, beside a plain
// scan of its exposures: `make bench-panels`.
func TestPanelsOfABusySite(t *testing.T) {
	if *busyDays == 0 {
		t.Skip("a measurement, not a test: make bench-panels")
	}
	db := warehousetest.Open(t)
	first := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 0, int(*busyDays))
	configureBusySite(t, db)
	for _, kind := range []string{"events", "conversions"} {
		statement, err := os.ReadFile("../bench/night/" + kind + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		for day := range *busyDays {
			params := warehouse.Params{"day": day, "visitors": *busyPerDay / 5, "sessions": *busyPerDay / 8, "conversions": *busyPerDay / 100}
			if err := db.Exec(t.Context(), string(statement), params.For(string(statement))); err != nil {
				t.Fatal(err)
			}
		}
	}
	runner := jobs.NewRunner(db, func() time.Time { return last }, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: last.AddDate(0, 0, -1)}); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	night, err := runner.Run(t.Context(), jobs.Request{Cutoff: last})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("the night of the last day: %s\n", time.Since(started).Round(time.Millisecond))
	steps, err := jobs.SlowestSteps(t.Context(), db, night.RunID, 40)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		fmt.Printf("%7d ms  %s\n", step.DurationMS, step.Step)
	}
	timeResults(t, db)
	timed := func(query string) time.Duration {
		var took []time.Duration
		for range 3 {
			started := time.Now()
			if _, _, err := db.Table(t.Context(), query, nil); err != nil {
				t.Errorf("%v\n%s", err, query)
			}
			took = append(took, time.Since(started))
		}
		slices.Sort(took)
		return took[1]
	}
	scan := timed("select count(), uniq(visitor_id), max(day) from exposures")
	fmt.Printf("%d days, %d client events a day; a scan of all exposures: %s\n", *busyDays, *busyPerDay, scan.Round(time.Millisecond))
	type figure struct {
		title string
		took  time.Duration
	}
	var figures []figure
	for _, d := range readDashboards(t) {
		chosen := map[string][]string{}
		for _, v := range d.Templating.List {
			_, rows, err := db.Table(t.Context(), expand(t, v.Query, first, last, chosen), nil)
			if err != nil || len(rows) == 0 {
				t.Fatalf("variable %s: %v, %v", v.Name, rows, err)
			}
			for _, row := range rows {
				chosen[v.Name] = append(chosen[v.Name], row[0])
			}
			if !v.Multi {
				chosen[v.Name] = chosen[v.Name][:1]
			}
			figures = append(figures, figure{d.Title + ": variable " + v.Name, timed(expand(t, v.Query, first, last, chosen))})
		}
		for _, p := range d.Panels {
			figures = append(figures, figure{d.Title + ": " + p.Title, timed(expand(t, p.Targets[0].RawSQL, first, last, chosen))})
		}
	}
	slices.SortFunc(figures, func(a, b figure) int { return cmp.Compare(b.took, a.took) })
	for _, f := range figures {
		fmt.Printf("%7d ms  %4.1f scans  %s\n", f.took.Milliseconds(), f.took.Seconds()/scan.Seconds(), f.title)
	}
}

// timeResults prints how long the results of an optimization and of an account take, with all that the page shows.
func timeResults(t *testing.T, db *warehouse.DB) {
	t.Helper()
	snap, err := catalog.NewStore(db, time.Now).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cutoff, version, err := jobs.Published(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	question := experiment.Question{CustomerID: "site-1", OptimizationID: "optimization-1", Cutoff: cutoff, Version: version}
	for what, ask := range map[string]func() error{
		"results of an optimization": func() error {
			_, err := reports.OptimizationResults(t.Context(), db, snap, "site-1", "optimization-1", reports.Asked{})
			return err
		},
		"results of an account": func() error {
			_, err := reports.AccountResults(t.Context(), db, snap, "site-1", reports.Asked{})
			return err
		},
		"lift by day": func() error {
			series, err := experiment.Cumulative(t.Context(), db, snap, question)
			if err == nil {
				_, err = reports.Revisions(t.Context(), db, "site-1", "optimization-1", series, cutoff)
			}
			return err
		},
		"attributes": func() error {
			_, err := reports.SegmentChoices(t.Context(), db, "site-1", "optimization-1")
			return err
		},
	} {
		var took []time.Duration
		for range 3 {
			started := time.Now()
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(started))
		}
		slices.Sort(took)
		fmt.Printf("%7d ms  %s\n", took[1].Milliseconds(), what)
	}
}

// configureBusySite makes what the generator of bench/night fills: 20 accounts with 20
// optimizations of two variations and two goals each.
func configureBusySite(t *testing.T, db *warehouse.DB) {
	t.Helper()
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "bench", func(e *catalog.Edit) error {
		for site := range 20 {
			customer := fmt.Sprintf("site-%d", site)
			for event := range 5 {
				name := fmt.Sprintf("event-%d", event)
				if err := e.PutName(catalog.EventName{CustomerID: customer, EventID: name, APIName: name, From: time.UnixMilli(0)}); err != nil {
					return err
				}
			}
			for n := range 20 {
				o := catalog.Optimization{CustomerID: customer, OptimizationID: fmt.Sprintf("optimization-%d", n), Name: "Optimization"}
				if err := e.ReplaceOptimization(o, []catalog.Variation{{VariationID: "a", Weight: 1}, {VariationID: "b", Weight: 1}},
					[]catalog.Goal{{EventID: "event-0", IsPrimary: true}, {EventID: "event-1"}}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
