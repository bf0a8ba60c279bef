package jobs_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// viewAt is a view of visitor v1, received at once.
func viewAt(when time.Time) warehouse.ClientEvent {
	return warehouse.ClientEvent{
		CustomerID: "c1", VisitorID: "v1", Type: "view", OptimizationID: "hero", VariationID: "b",
		OccurredAtMS: when.UnixMilli(), ReceivedAtMS: when.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
	}
}

func dateAt(day, hour, minute int) time.Time {
	return date(day, hour).Add(time.Duration(minute) * time.Minute)
}

func insertEvents(t *testing.T, db *warehouse.DB, events ...warehouse.ClientEvent) {
	t.Helper()
	if err := db.InsertClientEvents(t.Context(), "", events); err != nil {
		t.Fatal(err)
	}
}

// equalsRebuild fails unless a full run at the published cutoff changes nothing.
func equalsRebuild(t *testing.T, db *warehouse.DB, runner *jobs.Runner) {
	t.Helper()
	before := map[string][]string{}
	for _, table := range publishedTables {
		before[table] = readPublished(t, db, table)
	}
	cutoff, err := jobs.PublishedCutoff(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, runner, jobs.Request{Cutoff: cutoff, Full: true})
	for _, table := range publishedTables {
		if d := diff(readPublished(t, db, table), before[table]); d != "" {
			t.Errorf("%s is not what a full run gives:\n%s", table, d)
		}
	}
}

// The copy that counts turns out to be one of the day after, which draws in the other's
// day as its neighbour: that day must lose its exposure.
func TestCopyMovesAnExposureOverMidnight(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	first := viewAt(dateAt(20, 23, 50))
	first.ReceivedAtMS = dateAt(21, 0, 11).UnixMilli()
	insertEvents(t, db, first, viewAt(dateAt(21, 12, 0)))
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})

	copied := viewAt(dateAt(21, 0, 10))
	copied.IngestID = first.IngestID
	insertEvents(t, db, copied)
	mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	equalsRebuild(t, db, runner)
}

// The last day has an exposure but no session of its own, and loses it as the cutoff moves
// back.
func TestDayWithoutASessionLosesItsExposure(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	insertEvents(t, db, viewAt(dateAt(21, 23, 50)), viewAt(dateAt(22, 0, 5)))
	mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	equalsRebuild(t, db, runner)
}

// A range in the middle of a chain is computed with a late event that the days around have
// not seen: no session starts on its day now, and the chain must be found beyond it.
func TestChainIsFoundBeyondADayWithoutASession(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(27, 0))
	runner.SetLimits(0, 1<<40)
	var events []warehouse.ClientEvent
	for moment := dateAt(20, 23, 58); moment.Before(dateAt(21, 23, 40)); moment = moment.Add(20 * time.Minute) {
		events = append(events, viewAt(moment))
	}
	events = append(events, viewAt(dateAt(21, 23, 40)), viewAt(dateAt(21, 23, 55)))
	for moment := dateAt(22, 0, 5); moment.Before(dateAt(22, 23, 45)); moment = moment.Add(20 * time.Minute) {
		events = append(events, viewAt(moment))
	}
	events = append(events, viewAt(dateAt(22, 23, 50)))
	for moment := dateAt(23, 0, 1); moment.Before(dateAt(23, 2, 0)); moment = moment.Add(9 * time.Minute) {
		events = append(events, viewAt(moment))
	}
	insertEvents(t, db, events...)
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})

	insertEvents(t, db, viewAt(dateAt(20, 23, 50)))
	day := date(22, 0)
	mustRun(t, runner, jobs.Request{From: &day, To: &day})
	mustRun(t, runner, jobs.Request{Cutoff: date(25, 0)})
	equalsRebuild(t, db, runner)
}
