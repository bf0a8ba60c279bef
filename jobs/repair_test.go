package jobs_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/catalog"
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

// The first half of a session over midnight changes late: where it starts, whether it was open at midnight
// at all, and whether it had begun. The second half's day has no new event.
func TestFirstHalfOfASessionOverMidnightChangesLate(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Time{
		"an earlier start":          dateAt(20, 23, 20),
		"joined with the next day":  dateAt(20, 23, 58),
		"a session of the day back": dateAt(20, 22, 0),
	} {
		t.Run(name, func(t *testing.T) {
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(25, 0))
			runner.SetLimits(0, 1<<40)
			site(t, db, 19) // the name, the link
			insertEvents(t, db, viewAt(dateAt(20, 23, 40)), viewAt(dateAt(21, 0, 15)), viewAt(dateAt(21, 0, 30)))
			insertConversion(t, db, "u1", "after", dateAt(21, 0, 31))
			mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
			insertEvents(t, db, viewAt(late))
			mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
			equalsRebuild(t, db, runner)
		})
	}
}

// A visitor is active for ten days without a gap, and one late event before all that moves every cut of
// the cap, on every day.
func TestOneEventMovesAllCutsOfAMarathon(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(29, 0))
	runner.SetLimits(0, 1<<40)
	insertEvents(t, db, viewsBetween(dateAt(12, 10, 0), dateAt(22, 9, 0), 20*time.Minute)...)
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	insertEvents(t, db, viewAt(dateAt(12, 9, 35)))
	if record := mustRun(t, runner, jobs.Request{Cutoff: date(25, 0)}); record.Mode != jobs.ModeIncremental || record.Days != 11 {
		t.Errorf("%d days of a run that is %s", record.Days, record.Mode)
	}
	equalsRebuild(t, db, runner)
}

// A run over a range brings the other days up to date, too.
func TestRangeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 19)
	insertEvents(t, db, viewAt(dateAt(20, 23, 50)), viewAt(dateAt(22, 10, 0)))
	mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	late, early := viewAt(dateAt(21, 0, 10)), viewAt(dateAt(19, 23, 50))
	insertEvents(t, db, late, early)
	insertConversion(t, db, "u1", "late", dateAt(21, 0, 11))
	day := date(21, 0)
	if record := mustRun(t, runner, jobs.Request{From: &day, To: &day}); record.Mode != jobs.ModeRange || record.Days < 2 {
		t.Errorf("%d days of a run that is %s", record.Days, record.Mode)
	}
	equalsRebuild(t, db, runner)
}

// The last day has an exposure but no session of its own, and loses it as the cutoff moves
// back.
func TestDayWithoutASessionLosesItsExposure(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	insertEvents(t, db, viewAt(dateAt(21, 23, 50)), viewAt(dateAt(22, 0, 5)))
	mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	equalsRebuild(t, db, runner)
}

// A late event moves a session over a day on which no session starts then, and the day after that follows.
func TestSessionsMoveBeyondADayWithoutAStart(t *testing.T) {
	t.Parallel()
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

// Late events join two runs of events exactly a cap apart, and then an earlier one with both.
func TestLateEventsJoinRunsOfEvents(t *testing.T) {
	t.Parallel()
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

// A copy that was received before the view that counted so far says that it was no view: the look-back of a
// conversion a week later needs the last view of the day.
func TestCopyTakesTheLastViewOfADay(t *testing.T) {
	t.Parallel()
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
	copied.Type, copied.OptimizationID, copied.VariationID, copied.ReceivedAtMS = "activity", "", "", dateAt(20, 12, 0).UnixMilli()
	insertEvents(t, db, copied)
	mustRun(t, runner, jobs.Request{Cutoff: date(28, 0)})
	equalsRebuild(t, db, runner)
}

// Each identify received links, copies too: of two under one ingest_id, which tell different users,
// only one counts as an event, and whichever comes first.
func TestEveryCopyOfAnIdentifyLinks(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
		t.Errorf("the first run says %q", got)
	}
	insertConversion(t, db, "nobody", "y", date(19, 10))
	day := date(19, 0)
	if got := causes(mustRun(t, runner, jobs.Request{From: &day, To: &day})); got != "2026-09-19 conversion, 2026-09-19 rerun" {
		t.Errorf("the range says %q", got)
	}
}

// Names change, a run publishes and is killed before its last words, and the names change back: what it
// published goes, too.
func TestNamesChangedBackAroundAKilledRun(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 20)
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
	put := func(to *time.Time) {
		err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
			return e.PutName(catalog.EventName{CustomerID: "c1", EventID: "e1", APIName: "bought", From: date(1, 0), To: to})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	end := date(2, 0)
	put(&end)
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
	if err := db.Exec(t.Context(), "alter table run_log delete where version = 2 and state = 'done' settings mutations_sync = 2", nil); err != nil {
		t.Fatal(err)
	}
	put(nil)
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
	equalsRebuild(t, db, runner)
}

// A view that becomes visible while a run is under way may be in its exposures or not: the run ends well, and
// the next one takes it into account.
func TestViewThatBecomesVisibleDuringARun(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"20_sessions", "22_exposures", "25_night_first_views", "35_decisions"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(25, 0))
			runner.SetLimits(0, 1<<40)
			site(t, db)
			identified := viewAt(dateAt(20, 10, 0))
			identified.Type, identified.OptimizationID, identified.VariationID, identified.UserDomain, identified.UserID = "identify", "", "", "crm", "u1"
			insertEvents(t, db, identified)
			mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			insertConversion(t, db, "u1", "x", dateAt(20, 10, 10))
			insertEvents(t, db, viewAt(dateAt(19, 10, 0))) // a day of sessions to compute
			runner.Progress = func(p jobs.Progress) {
				if p.Step == at {
					insertEvents(t, db, viewAt(dateAt(20, 10, 5)))
				}
			}
			mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			runner.Progress = nil
			mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			equalsRebuild(t, db, runner)
		})
	}
}

// A reader sees a day of sessions of one version, however often others are published meanwhile.
func TestReadersSeeOneVersionOfADay(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	exec := func(statement string) {
		if err := db.Exec(t.Context(), statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	const versions = 150
	// In turns a session within the day and one that goes on past midnight: each version has one.
	exec(fmt.Sprintf(`insert into sessions_versions (customer_id, visitor_id, day, started_at, last_event_at, expires_at, events, views, version)
		select 'c1', 'v1', '2026-09-20', if(number %% 2 = 1, toDateTime64('2026-09-20 10:00:00', 3, 'UTC'), toDateTime64('2026-09-20 23:50:00', 3, 'UTC')) as start,
			start, start + toIntervalMinute(30), 1, 1, number
		from numbers(1, %d)`, versions))
	publish := func(version int) {
		exec(fmt.Sprintf("insert into published_days (table_name, day, version, run_id, cutoff) values ('sessions_versions', '2026-09-20', %d, '', 0)", version))
	}
	publish(1)
	ended := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				var sessions uint64
				if err := db.Row(t.Context(), "select count() from sessions", nil, &sessions); err != nil || sessions != 1 {
					t.Errorf("a reader sees %d sessions (%v)", sessions, err)
					return
				}
			}
		})
	}
	for version := 2; version <= versions; version++ {
		publish(version)
	}
	close(ended)
	readers.Wait()
}

// Two conversions of different keys under one ingest_id are decided apart.
func TestOneIngestIDUnderTwoKeys(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	site(t, db, 20)
	id := uuid.Must(uuid.NewV7())
	var rows []warehouse.Conversion
	for _, actionID := range []string{"x", "y"} {
		rows = append(rows, warehouse.Conversion{
			CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: "u1", ActionID: actionID,
			ActionAtMS: dateAt(20, 10, 1).UnixMilli(), ReceivedAtMS: dateAt(20, 10, 1).UnixMilli(), IngestID: id,
		})
	}
	if err := db.InsertConversions(t.Context(), "", rows); err != nil {
		t.Fatal(err)
	}
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
	var outcomes uint64
	if err := db.Row(t.Context(), "select count() from conversion_outcomes where action_id in ('x', 'y')", nil, &outcomes); err != nil || outcomes != 2 {
		t.Errorf("%d outcomes (%v)", outcomes, err)
	}
}
