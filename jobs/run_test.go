package jobs_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jonboulle/clockwork"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// site inserts one visitor who sees a variation at 10:00 of each of the days, is
// known, and converts five minutes later.
func site(t *testing.T, db *warehouse.DB, days ...int) {
	t.Helper()
	var clientEvents []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for _, day := range days {
		at := date(day, 10).UnixMilli()
		for _, e := range []warehouse.ClientEvent{
			{Type: "view", OptimizationID: "hero", VariationID: "b"},
			{Type: "identify", UserDomain: "crm", UserID: "u1"},
		} {
			e.CustomerID, e.VisitorID, e.OccurredAtMS, e.ReceivedAtMS, e.IngestID = "c1", "v1", at, at, uuid.Must(uuid.NewV7())
			clientEvents = append(clientEvents, e)
		}
		conversions = append(conversions, warehouse.Conversion{
			CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: "u1", ActionID: date(day, 0).Format("02"),
			ActionAtMS: at + 5*minuteMS, ReceivedAtMS: at + 6*minuteMS, IngestID: uuid.Must(uuid.NewV7()),
		})
	}
	if err := db.InsertClientEvents(t.Context(), "", clientEvents); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertConversions(t.Context(), "", conversions); err != nil {
		t.Fatal(err)
	}
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		return e.PutName(catalog.EventName{CustomerID: "c1", EventID: "e1", APIName: "bought", From: date(1, 0)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runnerAt returns a runner whose clock stands still.
func runnerAt(db *warehouse.DB, now time.Time) *jobs.Runner {
	return jobs.NewRunner(db, func() time.Time { return now }, slog.New(slog.DiscardHandler))
}

func mustRun(t *testing.T, runner *jobs.Runner, req jobs.Request) jobs.Record {
	t.Helper()
	record, err := runner.Run(t.Context(), req)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return record
}

// outcomeDays are the days that conversion_outcomes has, as "21 22".
func outcomeDays(t *testing.T, db *warehouse.DB) string {
	t.Helper()
	var days []string
	for _, row := range readPublished(t, db, "conversion_outcomes") {
		days = append(days, strings.TrimPrefix(strings.Split(row, " | ")[1], "2026-09-"))
	}
	slices.Sort(days)
	return strings.Join(days, " ")
}

func TestCutoffOfARunByHand(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20, 21, 22, 23)
	atNoon := runnerAt(db, date(23, 12))

	if got := mustRun(t, atNoon, jobs.Request{}).Cutoff; !got.Equal(date(23, 0)) {
		t.Errorf("the first run has the cutoff %s, expected the last midnight", got)
	}
	if got := outcomeDays(t, db); got != "20 21 22" {
		t.Errorf("published %q after the last midnight", got)
	}
	mustRun(t, atNoon, jobs.Request{Cutoff: date(23, 11)})
	if got := mustRun(t, atNoon, jobs.Request{}).Cutoff; !got.Equal(date(23, 11)) {
		t.Errorf("the next run has the cutoff %s, expected the last published one, which is later than midnight", got)
	}
	mustRun(t, atNoon, jobs.Request{Cutoff: date(22, 0)})
	if got := outcomeDays(t, db); got != "20 21" {
		t.Errorf("published %q, expected what was known at the earlier cutoff", got)
	}
	if got := mustRun(t, atNoon, jobs.Request{}).Cutoff; !got.Equal(date(23, 0)) {
		t.Errorf("after one with an earlier cutoff the run has %s, expected the last midnight", got)
	}
	if _, err := atNoon.Run(t.Context(), jobs.Request{Cutoff: date(23, 13)}); !errors.Is(err, jobs.ErrFutureCutoff) {
		t.Errorf("a cutoff in the future gives %v", err)
	}
}

// TestKilledAfterPublishing leaves the ledger as a kill between the publication and
// the run's last words does.
func TestKilledAfterPublishing(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20, 21, 22)
	runner := runnerAt(db, date(22, 12))
	mustRun(t, runner, jobs.Request{Cutoff: date(20, 0)})
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 11)})
	if err := db.Exec(t.Context(), "alter table run_log delete where cutoff = '2026-09-22 11:00:00' and revision = 2 settings mutations_sync = 1", nil); err != nil {
		t.Fatal(err)
	}
	if cutoff, err := jobs.PublishedCutoff(t.Context(), db); err != nil || !cutoff.Equal(date(22, 11)) {
		t.Errorf("published up to %s (%v)", cutoff, err)
	}
	if got := mustRun(t, runner, jobs.Request{}).Cutoff; !got.Equal(date(22, 11)) {
		t.Errorf("the next run has the cutoff %s", got)
	}
	var covered uint64
	if err := db.Row(t.Context(), "select count() from runs where state = 'covered'", nil, &covered); err != nil || covered != 2 {
		t.Errorf("%d midnights are covered, expected the 21st and the 22nd (%v)", covered, err)
	}
}

func TestRangeIsComputedAtThePublishedCutoff(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	day := date(21, 0)
	if _, err := runner.Run(t.Context(), jobs.Request{From: &day, To: &day}); !errors.Is(err, jobs.ErrNothingYet) {
		t.Errorf("a range before the first run gives %v", err)
	}
	site(t, db, 20, 21, 22)
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	before := fingerprint(t, db)
	// Received in time, visible only now; and one received after the cutoff.
	site(t, db, 21, 23)
	if record := mustRun(t, runner, jobs.Request{From: &day, To: &day}); !record.Cutoff.Equal(date(22, 0)) || record.Days != 1 {
		t.Errorf("the range ran at %s and published %d days", record.Cutoff, record.Days)
	}
	if got := outcomeDays(t, db); got != "20 21 21" {
		t.Errorf("published %q", got)
	}
	if fingerprint(t, db) == before {
		t.Error("the range changed nothing")
	}
	if _, err := runner.Run(t.Context(), jobs.Request{From: &day, To: &day, Cutoff: day}); !errors.Is(err, jobs.ErrCutoffWithRange) {
		t.Errorf("a range with a cutoff gives %v", err)
	}
}

func TestRunThatFailsOrDiesLeavesWhatWasPublished(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	site(t, db, 20, 21)
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	before := fingerprint(t, db)
	site(t, db, 22)

	for stop := range 9 {
		ctx, cancel := context.WithCancel(t.Context())
		runner.Progress = func(p jobs.Progress) {
			if p.Done == stop {
				cancel()
			}
		}
		if _, err := runner.Run(ctx, jobs.Request{Cutoff: date(23, 0)}); err == nil {
			t.Fatalf("the run stopped at step %d says nothing", stop)
		}
		if fingerprint(t, db) != before {
			t.Fatalf("the run stopped at step %d changed what was published", stop)
		}
	}
	runner.Progress = nil
	// Dead without a word: as the ledger has it after kill -9.
	if err := db.Exec(t.Context(), "insert into run_log (run_id, revision, state, version) values ('dead', 1, 'running', 99)", nil); err != nil {
		t.Fatal(err)
	}
	record := mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	if got := outcomeDays(t, db); got != "20 21 22" || record.Version <= 99 {
		t.Errorf("published %q with version %d after the failures", got, record.Version)
	}
	states := map[string]int{}
	records, err := jobs.Recent(t.Context(), db, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		states[r.State]++
		if r.State == jobs.StateFailed && r.Error == "" {
			t.Errorf("run %s failed without a reason", r.RunID)
		}
	}
	if states[jobs.StateDone] != 2 || states[jobs.StateFailed] != 10 || states[jobs.StateRunning] != 0 {
		t.Errorf("the ledger has %v", states)
	}
}

// Each check stops a run that has staged what no rule allows, and says which rows are wrong.
func TestFailedCheckPublishesNothing(t *testing.T) {
	t.Parallel()
	const newest = " where version = (select max(version) from "
	for check, wrong := range map[string]string{
		"sessions_keep_their_limits": `insert into sessions_versions (customer_id, visitor_id, day, started_at, last_event_at, expires_at, events, views, version)
			select customer_id, visitor_id, day, started_at + 1, last_event_at + 1, expires_at + 100000, 1, 1, version from sessions_versions` + newest + "sessions_versions)",
		"sessions_go_on": `insert into sessions_versions (customer_id, visitor_id, day, started_at, last_event_at, expires_at, events, views, version)
			select customer_id, 'v9', day, toDateTime64(day, 3, 'UTC') - 60, toDateTime64(day, 3, 'UTC') + 60, toDateTime64(day, 3, 'UTC') + 1860, 0, 0, version
			from sessions_versions` + newest + "sessions_versions)",
		"one_attribution_per_optimization": "insert into decisions_versions select * from decisions_versions" + newest + "decisions_versions)",
		"every_conversion_has_one_outcome": `insert into decisions_versions (customer_id, day, api_name, action_id, ingest_id, outcome, version)
			select customer_id, day, api_name, action_id, ingest_id, 'session_expired', version from decisions_versions` + newest + "decisions_versions)",
		"attributed_means_attributions": `insert into decisions_versions (customer_id, day, action_id, ingest_id, outcome, version)
			select customer_id, day, 'x', generateUUIDv4(), 'attributed', version from decisions_versions` + newest + "decisions_versions)",
	} {
		t.Run(check, func(t *testing.T) {
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(25, 0))
			site(t, db, 20)
			mustRun(t, runner, jobs.Request{Cutoff: date(21, 0)})
			before := fingerprint(t, db)
			site(t, db, 21)
			var spoil sync.Once
			runner.Progress = func(p jobs.Progress) {
				if p.Step == "check "+check {
					spoil.Do(func() {
						if err := db.Exec(t.Context(), wrong, nil); err != nil {
							t.Error(err)
						}
					})
				}
			}
			record, err := runner.Run(t.Context(), jobs.Request{Cutoff: date(22, 0)})
			if record.Days != 0 || record.Rows != 0 {
				t.Errorf("the ledger says %d days and %d rows of a run that published nothing", record.Days, record.Rows)
			}
			if err == nil || !strings.Contains(err.Error(), "check "+check+" found") || !strings.Contains(err.Error(), "c1 | ") {
				t.Errorf("the check says: %v", err)
			}
			if fingerprint(t, db) != before {
				t.Error("something was published though a check failed")
			}
		})
	}
}

func TestRunsWaitForEachOther(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20)
	first, second := runnerAt(db, date(25, 0)), runnerAt(db, date(25, 0))
	done := make(chan error, 1)
	once := false
	first.Progress = func(jobs.Progress) {
		if !once {
			once = true
			go func() {
				_, err := second.Run(t.Context(), jobs.Request{Cutoff: date(22, 0)})
				done <- err
			}()
		}
	}
	mustRun(t, first, jobs.Request{Cutoff: date(21, 0)})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := outcomeDays(t, db); got != "20" {
		t.Errorf("published %q", got)
	}
}

func TestOldVersionsAreDropped(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	site(t, db, 20, 21)
	for range 4 {
		mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	}
	var versions uint64
	if err := db.Row(t.Context(), "select uniqExact(version) from sessions_versions", nil, &versions); err != nil {
		t.Fatal(err)
	}
	if versions > 2 {
		t.Errorf("%d versions are kept, expected the published one and the one before it", versions)
	}
}

// TestWhatCameOutTheSameKeepsItsVersion has a late event that moves a session and nothing
// else: no more than the sessions of its day may be written again.
func TestWhatCameOutTheSameKeepsItsVersion(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(25, 0))
	site(t, db, 20, 21)
	mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
	late := warehouse.ClientEvent{
		CustomerID: "c1", VisitorID: "v1", Type: "activity", IngestID: uuid.Must(uuid.NewV7()),
		OccurredAtMS: date(20, 10).UnixMilli() + minuteMS, ReceivedAtMS: date(22, 10).UnixMilli(),
	}
	if err := db.InsertClientEvents(t.Context(), "", []warehouse.ClientEvent{late}); err != nil {
		t.Fatal(err)
	}
	record := mustRun(t, runner, jobs.Request{Cutoff: date(23, 0)})
	if record.Days != 1 {
		t.Errorf("%d days were published, expected the one with the late event", record.Days)
	}
	var versions string
	query := "select arrayStringConcat(arraySort(groupArray(table_name || ' ' || toString(day))), ', ') from published_days where version = {version:UInt64}"
	if err := db.Row(t.Context(), query, warehouse.Params{"version": record.Version}, &versions); err != nil {
		t.Fatal(err)
	}
	if versions != "sessions_versions 2026-09-20" {
		t.Errorf("published were %s", versions)
	}
}

// TestScheduler moves a clock over midnights (R8).
func TestScheduler(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20, 21, 22, 23)
	mustRun(t, runnerAt(db, date(20, 12)), jobs.Request{Cutoff: date(20, 0)})

	clock := clockwork.NewFakeClockAt(date(22, 18)) // down over two midnights
	ran := make(chan struct{}, 10)
	runner := jobs.NewRunner(db, clock.Now, slog.New(slog.DiscardHandler))
	runner.Progress = func(p jobs.Progress) {
		if p.Step == "35_decisions" {
			ran <- struct{}{}
		}
	}
	scheduler, err := jobs.NewScheduler(runner, func(context.Context, time.Time) error { return nil }, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	scheduler.Start()
	<-ran
	waitForCutoff(t, db, date(22, 0))
	var covered uint64
	if err := db.Row(t.Context(), "select count() from runs where state = 'covered' and cutoff = '2026-09-21 00:00:00'", nil, &covered); err != nil || covered != 1 {
		t.Errorf("%d ledger rows tell of the midnight that was covered (%v)", covered, err)
	}
	if err := clock.BlockUntilContext(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(6 * time.Hour)
	<-ran
	waitForCutoff(t, db, date(23, 0))
	if err := scheduler.Close(); err != nil {
		t.Error(err)
	}
	if got := outcomeDays(t, db); got != "20 21 22" {
		t.Errorf("published %q", got)
	}
}

// TestCutoffInTheFuture: a clock that was once wrong by a year has published a cutoff that no
// night reaches. It is taken for none, and the next night mends what it left.
func TestCutoffInTheFuture(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20, 21, 22)
	wrong := runnerAt(db, date(22, 12).AddDate(1, 0, 0))
	mustRun(t, wrong, jobs.Request{})
	runner := runnerAt(db, date(22, 12))
	from := date(21, 0)
	if _, err := runner.Run(t.Context(), jobs.Request{From: &from, To: &from}); !errors.Is(err, jobs.ErrNothingYet) {
		t.Errorf("a range at a cutoff in the future: %v", err)
	}
	record := mustRun(t, runner, jobs.Request{})
	if record.Mode != jobs.ModeFull || !record.Cutoff.Equal(date(22, 0)) {
		t.Errorf("the night is %s at %s", record.Mode, record.Cutoff)
	}
	if got := outcomeDays(t, db); got != "20 21" {
		t.Errorf("published days %s, expected those before the midnight", got)
	}
	equalsRebuild(t, db, runner)
	// A clock that was set back by a moment changes nothing.
	atNoon := mustRun(t, runner, jobs.Request{Cutoff: date(22, 12)})
	if back := mustRun(t, runnerAt(db, date(22, 12).Add(-50*time.Millisecond)), jobs.Request{}); back.Mode != jobs.ModeIncremental || !back.Cutoff.Equal(atNoon.Cutoff) {
		t.Errorf("with the clock set back by 50 ms the run is %s at %s", back.Mode, back.Cutoff)
	}
	if next := mustRun(t, runnerAt(db, date(23, 12)), jobs.Request{}); next.Mode != jobs.ModeIncremental || outcomeDays(t, db) != "20 21 22" {
		t.Errorf("the night after it is %s, days %s", next.Mode, outcomeDays(t, db))
	}
}

// TestNightThatFailedIsTriedAgain has the first step fail once.
func TestNightThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20)
	clock := clockwork.NewFakeClockAt(date(21, 6))
	runner := jobs.NewRunner(db, clock.Now, slog.New(slog.DiscardHandler))
	if err := db.Exec(t.Context(), "rename table night_links to night_links_away", nil); err != nil {
		t.Fatal(err)
	}
	scheduler, err := jobs.NewScheduler(runner, func(context.Context, time.Time) error { return nil }, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	scheduler.Start()
	if err := clock.BlockUntilContext(t.Context(), 2); err != nil { // the scheduler's timer, and the wait after the failure
		t.Fatal(err)
	}
	if err := db.Exec(t.Context(), "rename table night_links_away to night_links", nil); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	waitForCutoff(t, db, date(21, 0))
	if err := scheduler.Close(); err != nil {
		t.Error(err)
	}
}

// TestNightIsNotTriedAgainBehindALaterCutoff fails once; before it is tried again, somebody
// runs at a later cutoff by hand. What is published must not go back.
func TestNightIsNotTriedAgainBehindALaterCutoff(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 20)
	clock := clockwork.NewFakeClockAt(date(21, 6))
	if err := db.Exec(t.Context(), "rename table night_links to night_links_away", nil); err != nil {
		t.Fatal(err)
	}
	logged, log := io.Pipe()
	lines := bufio.NewScanner(logged)
	runner := jobs.NewRunner(db, clock.Now, slog.New(slog.DiscardHandler))
	scheduler, err := jobs.NewScheduler(runner, func(context.Context, time.Time) error { return nil }, clock, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	scheduler.Start()
	if !lines.Scan() || !strings.Contains(lines.Text(), "tried again") {
		t.Fatalf("the night did not fail: %s", lines.Text())
	}
	if err := db.Exec(t.Context(), "rename table night_links_away to night_links", nil); err != nil {
		t.Fatal(err)
	}
	mustRun(t, runner, jobs.Request{Cutoff: date(21, 5)})
	if err := clock.BlockUntilContext(t.Context(), 2); err != nil { // the scheduler's timer, and the wait after the failure
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if !lines.Scan() || !strings.Contains(lines.Text(), "later cutoff") {
		t.Errorf("tried again: %s", lines.Text())
	}
	if err := scheduler.Close(); err != nil {
		t.Error(err)
	}
}

// waitForCutoff waits until a run at that cutoff is done.
func waitForCutoff(t *testing.T, db *warehouse.DB, want time.Time) {
	t.Helper()
	for done := uint64(0); done == 0; {
		err := db.Row(t.Context(), "select count() from runs where state = 'done' and cutoff = {cutoff:DateTime64(3, 'UTC')}", warehouse.Params{"cutoff": warehouse.Time(want)}, &done)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStepsReadWhatIsThere holds the headers of the night's SQL against each other:
// each step reads raw tables or what an earlier step wrote, and none knows the time.
func TestStepsReadWhatIsThere(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../sql/nightly/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no steps found", err)
	}
	written := map[string]bool{}
	for _, known := range []string{
		"client_events", "conversions", "adjustments", "event_names", "event_rules", "erased_days", "erased_keys", "published_days", // what a run finds
		"sessions_versions", "exposures_versions", "entries_versions", "decisions_versions",
		"new_client_events", "new_conversions", "new_adjustments", "night_events", // views
		"night_views", // run before 33, for crowded users, and after it
	} {
		written[known] = true
	}
	header := regexp.MustCompile(`(?s)-- Purpose: .*-- Reads: +(.*?)\n-- Writes: +(\S+)\n-- Runs: +(?:home|shards)\n-- Grain: .*-- Parameters: (.*)-- Notes: `)
	clock := regexp.MustCompile(`\b(now|now64|today|yesterday)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := header.FindSubmatch(text)
		if m == nil {
			t.Errorf("%s: the header lacks a field", file)
			continue
		}
		for _, table := range regexp.MustCompile(`[a-z_]+`).FindAllString(string(m[1]), -1) {
			if !written[table] && table != string(m[2]) {
				t.Errorf("%s reads %s, which no earlier step wrote", file, table)
			}
			if !strings.Contains(string(text), "from "+table) && !strings.Contains(string(text), "join "+table) {
				t.Errorf("%s says that it reads %s, but does not", file, table)
			}
		}
		used := map[string]bool{}
		for _, parameter := range regexp.MustCompile(`\{([a-z_]+):`).FindAllSubmatch(text, -1) {
			used[string(parameter[1])] = true
		}
		told := map[string]bool{}
		for _, parameter := range regexp.MustCompile(`[a-z_]+`).FindAllString(string(m[3]), -1) {
			told[parameter] = true
		}
		delete(told, "none")
		if !maps.Equal(told, used) {
			t.Errorf("%s has the parameters %v, and reports %v", file, slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(told)))
		}
		written[string(m[2])] = true
		if !strings.Contains(string(text), "insert into "+string(m[2])) {
			t.Errorf("%s says that it writes %s, but does not", file, m[2])
		}
		if clock.Match(text) {
			t.Errorf("%s reads the clock", file)
		}
		_ = sql.Nightly(strings.TrimSuffix(filepath.Base(file), ".sql"))
	}
}

// However a part ends that is not done, the parts together are not done either.
func TestPartsBesideEachOther(t *testing.T) {
	t.Parallel()
	done := func(context.Context) error { return nil }
	if err := jobs.AtOnce(t.Context(), 2, done, done, done); err != nil {
		t.Errorf("parts that are done give %v", err)
	}
	broken := errors.New("broken")
	if err := jobs.AtOnce(t.Context(), 2, done, func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a part that fails gives %v", err)
	}
	for name, leave := range map[string]func(){"panic": func() { panic("left") }, "Goexit": runtime.Goexit} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a part left by %s is taken for done", name)
				}
			}()
			_ = jobs.AtOnce(t.Context(), 2, done, func(context.Context) error { leave(); return nil })
		}()
	}
}

// TestRulesChanged: a run that goes by other numbers than the last one computes all days.
func TestRulesChanged(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 1, 2)
	if record := mustRun(t, runnerAt(db, date(3, 0)), jobs.Request{Cutoff: date(3, 0)}); record.Mode != jobs.ModeFull {
		t.Errorf("the first run is %s", record.Mode)
	}
	if record := mustRun(t, runnerAt(db, date(4, 0)), jobs.Request{Cutoff: date(4, 0)}); record.Mode != jobs.ModeIncremental {
		t.Errorf("the second run is %s", record.Mode)
	}
	// As a tieback would have left it whose sessions ended after 45 minutes.
	if err := db.Exec(t.Context(), "alter table run_log update epoch = replaceOne(epoch, '30m0s', '45m0s') where 1 settings mutations_sync = 1", nil); err != nil {
		t.Fatal(err)
	}
	if record := mustRun(t, runnerAt(db, date(5, 0)), jobs.Request{Cutoff: date(5, 0)}); record.Mode != jobs.ModeFull {
		t.Errorf("after a change of the rules the run is %s", record.Mode)
	}
}
