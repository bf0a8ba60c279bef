package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// nightFigures is what /metrics says of the night and the catalog. It is read from ClickHouse once a minute, so that a scrape asks nothing.
type nightFigures struct {
	now         func() time.Time
	catalogRead func() time.Time // when the catalog was read last

	mu       sync.Mutex
	readAt   time.Time
	cutoff   time.Time // published; zero for none
	last     *jobs.Record
	steps    []jobs.Step
	failed   uint64
	outcomes map[string]uint64 // of the last day that is published
}

// read asks ClickHouse. What it can't learn stays as it was.
func (n *nightFigures) read(ctx context.Context, db *warehouse.DB) error {
	records, err := jobs.Recent(ctx, db, 50)
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(r jobs.Record) bool { return r.State == jobs.StateCovered })
	cutoff, _, err := jobs.Published(ctx, db)
	if err != nil {
		return err
	}
	var failed uint64
	if err := db.Row(ctx, "select count() from runs where state = 'failed'", nil, &failed); err != nil {
		return err
	}
	var steps []jobs.Step
	if len(records) > 0 {
		if steps, err = jobs.SlowestSteps(ctx, db, records[0].RunID, 100); err != nil {
			return err
		}
	}
	var rows []struct {
		Outcome     string `ch:"outcome"`
		Conversions uint64 `ch:"conversions"`
	}
	if !cutoff.IsZero() {
		params := warehouse.Params{"day": warehouse.Day(cutoff.Add(-time.Millisecond))}
		if err := db.Select(ctx, &rows, sql.Report("night_outcomes").SQL, params); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readAt, n.cutoff, n.failed, n.steps, n.outcomes = n.now(), cutoff, failed, steps, map[string]uint64{}
	for _, row := range rows {
		n.outcomes[row.Outcome] = row.Conversions
	}
	if len(records) > 0 {
		n.last = &records[0]
	}
	return nil
}

var (
	cutoffDesc   = prometheus.NewDesc("tieback_published_cutoff_seconds", "Cutoff up to which is published, as Unix time.", nil, nil)
	stateDesc    = prometheus.NewDesc("tieback_last_run_state", "1 for the state of the last run: running, done, failed, dry-run or covered.", []string{"state"}, nil)
	startedDesc  = prometheus.NewDesc("tieback_last_run_started_seconds", "When the last run began, as Unix time.", nil, nil)
	tookDesc     = prometheus.NewDesc("tieback_last_run_duration_seconds", "How long the last run took, or has taken so far.", nil, nil)
	failedDesc   = prometheus.NewDesc("tieback_runs_failed_total", "Runs that failed.", nil, nil)
	stepTookDesc = prometheus.NewDesc("tieback_last_run_step_seconds", "How long the steps of the last run took.", []string{"step"}, nil)
	stepRowsDesc = prometheus.NewDesc("tieback_last_run_step_rows", "Rows that the steps of the last run wrote.", []string{"step"}, nil)
	outcomesDesc = prometheus.NewDesc("tieback_last_day_conversions", "Conversions of the last day that is published, by outcome.", []string{"outcome"}, nil)
	matchDesc    = prometheus.NewDesc("tieback_last_day_match_rate", "Share of them that is attributed, without duplicates and retracted ones; absent where there are none.", nil, nil)
	catalogDesc  = prometheus.NewDesc("tieback_catalog_age_seconds", "For how long the catalog could not be read.", nil, nil)
	readDesc     = prometheus.NewDesc("tieback_night_figures_age_seconds", "For how long these figures of the night could not be read.", nil, nil)
)

// Describe implements prometheus.Collector.
func (n *nightFigures) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{cutoffDesc, stateDesc, startedDesc, tookDesc, failedDesc, stepTookDesc, stepRowsDesc, outcomesDesc, matchDesc, catalogDesc, readDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (n *nightFigures) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if read := n.catalogRead(); !read.IsZero() {
		gauge(catalogDesc, n.now().Sub(read).Seconds())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.readAt.IsZero() {
		return
	}
	gauge(readDesc, n.now().Sub(n.readAt).Seconds())
	to <- prometheus.MustNewConstMetric(failedDesc, prometheus.CounterValue, float64(n.failed))
	if !n.cutoff.IsZero() {
		gauge(cutoffDesc, float64(n.cutoff.UnixMilli())/1000)
	}
	if n.last != nil {
		gauge(stateDesc, 1, n.last.State)
		gauge(startedDesc, float64(n.last.StartedAt.UnixMilli())/1000)
		finished := n.now()
		if n.last.FinishedAt != nil {
			finished = *n.last.FinishedAt
		}
		gauge(tookDesc, finished.Sub(n.last.StartedAt).Seconds())
	}
	for _, step := range n.steps {
		gauge(stepTookDesc, float64(step.DurationMS)/1000, step.Step)
		gauge(stepRowsDesc, float64(step.Rows), step.Step)
	}
	var decided uint64
	for outcome, conversions := range n.outcomes {
		gauge(outcomesDesc, float64(conversions), outcome)
		if outcome != "duplicate" && outcome != "retracted" {
			decided += conversions
		}
	}
	if decided > 0 {
		gauge(matchDesc, float64(n.outcomes["attributed"])/float64(decided))
	}
}
