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

// viewsBetween are views so far apart, both ends included.
func viewsBetween(from, to time.Time, step time.Duration) (events []warehouse.ClientEvent) {
	for moment := from; !moment.After(to); moment = moment.Add(step) {
		events = append(events, viewAt(moment))
	}
	return events
}

func insertEvents(t *testing.T, db *warehouse.DB, events ...warehouse.ClientEvent) {
	t.Helper()
	if err := db.InsertClientEvents(t.Context(), "", events); err != nil {
		t.Fatal(err)
	}
}

// insertConversion inserts one of the name of site, received at once.
func insertConversion(t *testing.T, db *warehouse.DB, userID, actionID string, when time.Time) {
	t.Helper()
	err := db.InsertConversions(t.Context(), "", []warehouse.Conversion{{
		CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: userID, ActionID: actionID,
		ActionAtMS: when.UnixMilli(), ReceivedAtMS: when.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
	}})
	if err != nil {
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
	events := viewsBetween(dateAt(20, 23, 58), dateAt(21, 23, 39), 20*time.Minute)
	events = append(events, viewAt(dateAt(21, 23, 40)), viewAt(dateAt(21, 23, 55)))
	events = append(events, viewsBetween(dateAt(22, 0, 5), dateAt(22, 23, 44), 20*time.Minute)...)
	events = append(events, viewAt(dateAt(22, 23, 50)))
	events = append(events, viewsBetween(dateAt(23, 0, 1), dateAt(23, 1, 59), 9*time.Minute)...)
	insertEvents(t, db, events...)
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})

	insertEvents(t, db, viewAt(dateAt(20, 23, 50)))
	day := date(22, 0)
	mustRun(t, runner, jobs.Request{From: &day, To: &day})
	mustRun(t, runner, jobs.Request{Cutoff: date(25, 0)})
	equalsRebuild(t, db, runner)
}

// A late event joins two chains exactly a cap apart: the second one's sessions stay as they
// are, and only where their chain began is new. The next late event must still find them.
func TestOnlyTheStartOfAChainMoves(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(27, 0))
	runner.SetLimits(0, 1<<40)
	events := append(viewsBetween(dateAt(20, 0, 10), dateAt(20, 23, 35), 5*time.Minute),
		viewsBetween(dateAt(21, 0, 10), dateAt(21, 12, 0), 5*time.Minute)...)
	insertEvents(t, db, events...)
	mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	insertEvents(t, db, viewAt(dateAt(20, 23, 55)))
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	insertEvents(t, db, viewAt(dateAt(19, 23, 50)))
	mustRun(t, runner, jobs.Request{Cutoff: date(25, 0)})
	equalsRebuild(t, db, runner)
}

// The copy that counts moves the last view of a day, and neither the first nor how many
// there are: the look-back of a conversion a week later needs it.
func TestCopyMovesTheLastViewOfADay(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(29, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 19) // the name, the link
	last := viewAt(dateAt(20, 11, 0))
	last.ReceivedAtMS = dateAt(20, 13, 0).UnixMilli()
	insertEvents(t, db, viewAt(dateAt(20, 10, 0)), last)
	insertConversion(t, db, "u1", "late", dateAt(27, 11, 30))
	mustRun(t, runner, jobs.Request{Cutoff: date(28, 0)})

	copied := last
	copied.OccurredAtMS, copied.ReceivedAtMS = dateAt(20, 12, 0).UnixMilli(), dateAt(20, 12, 0).UnixMilli()
	insertEvents(t, db, copied)
	mustRun(t, runner, jobs.Request{Cutoff: date(28, 0)})
	equalsRebuild(t, db, runner)
}

// Each identify received links, copies too: of two under one ingest_id, which tell different users,
// only one counts as an event, and whichever comes first.
func TestEveryCopyOfAnIdentifyLinks(t *testing.T) {
	for name, late := range map[string]bool{"together": false, "late": true} {
		t.Run(name, func(t *testing.T) {
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(29, 0))
			site(t, db, 20)
			first := viewAt(dateAt(20, 9, 0))
			first.Type, first.OptimizationID, first.VariationID, first.UserDomain, first.UserID = "identify", "", "", "crm", "u3"
			copied := first
			copied.UserID, copied.ReceivedAtMS = "u2", first.ReceivedAtMS+1
			insertEvents(t, db, first)
			insertConversion(t, db, "u2", "x", dateAt(20, 10, 1))
			insertConversion(t, db, "u3", "y", dateAt(20, 10, 1))
			if late {
				mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			}
			insertEvents(t, db, copied)
			mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			var told string
			query := "select arrayStringConcat(arraySort(groupArray(action_id || ' ' || outcome)), ', ') from conversion_outcomes where action_id in ('x', 'y')"
			if err := db.Row(t.Context(), query, nil, &told); err != nil || told != "x attributed, y attributed" {
				t.Errorf("the outcomes are %s (%v)", told, err)
			}
			equalsRebuild(t, db, runner)
		})
	}
}

// Why a day was computed is told of days with nothing but conversions, too.
func TestCausesOfADayWithConversionsOnly(t *testing.T) {
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 20)
	insertConversion(t, db, "nobody", "x", date(22, 10))
	causes := func(record jobs.Record) (told string) {
		t.Helper()
		query := "select arrayStringConcat(arraySort(groupArray(toString(day) || ' ' || cause)), ', ') from run_days where run_id = {run_id:String}"
		if err := db.Row(t.Context(), query, warehouse.Params{"run_id": record.RunID}, &told); err != nil {
			t.Fatal(err)
		}
		return told
	}
	if got := causes(mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})); got != "2026-09-20 full, 2026-09-22 full" {
		t.Errorf("the first run tells %q", got)
	}
	insertConversion(t, db, "nobody", "y", date(19, 10))
	day := date(19, 0)
	if got := causes(mustRun(t, runner, jobs.Request{From: &day, To: &day})); got != "2026-09-19 conversion, 2026-09-19 rerun" {
		t.Errorf("the range tells %q", got)
	}
}
