package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func setRule(t *testing.T, db *warehouse.DB, window string, from time.Time) {
	t.Helper()
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		rule, err := catalog.ParseRule(window, "last")
		if err != nil {
			return err
		}
		return e.SetRule("c1", "e1", rule, from)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A rule that is set for the past concerns the conversions since, and only their days are published again,
// with the cause rule.
func TestRuleSetForThePast(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(28, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 18)
	insertEvents(t, db, viewAt(dateAt(18, 12, 0)))
	for _, day := range []int{19, 20, 21, 22, 23} {
		insertConversion(t, db, "u1", date(day, 0).Format(time.DateOnly), dateAt(day, 12, 0))
	}
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	setRule(t, db, "3d", dateAt(21, 0, 0))
	record := mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	// On the 21st the view is three days old, to the millisecond; on the days after it is out of the window.
	if record.Mode != jobs.ModeIncremental || record.Days != 3 {
		t.Errorf("%d days of a run that is %s; the outcomes of the 21st to the 23rd change", record.Days, record.Mode)
	}
	outcomes := func() string {
		_, rows, err := db.Table(t.Context(), "select toString(outcome) from conversion_outcomes where customer_id = 'c1' and action_id like '2026%' order by converted_at", nil)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, row := range rows {
			list = append(list, row[0])
		}
		return strings.Join(list, " ")
	}
	if got := outcomes(); got != "session_expired session_expired attributed no_view_before no_view_before" {
		t.Error(got)
	}
	_, causes, err := db.Table(t.Context(), "select toString(day), arrayStringConcat(causes, ' '), toString(conversions_before), toString(conversions_after) from run_changes where run_id = {run:String}",
		warehouse.Params{"run": record.RunID})
	if err != nil || len(causes) != 1 || strings.Join(causes[0], " ") != "2026-09-21 rule 0 1" {
		t.Errorf("changes %v (%v)", causes, err)
	}
	equalsRebuild(t, db, runner)
	setRule(t, db, "session", dateAt(21, 0, 0))
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	if got := outcomes(); got != "session_expired session_expired session_expired session_expired session_expired" {
		t.Errorf("set back: %s", got)
	}
	equalsRebuild(t, db, runner)
}

// A view that becomes visible late reaches the conversions of a window that is longer than a week.
func TestLateViewInALongWindow(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	runner := runnerAt(db, date(29, 0))
	runner.SetLimits(0, 1<<40)
	site(t, db, 2)
	setRule(t, db, "21d", date(1, 0))
	insertConversion(t, db, "u1", "c", dateAt(23, 9, 30))
	mustRun(t, runner, jobs.Request{Cutoff: date(24, 0)})
	view := viewAt(dateAt(2, 10, 45))
	view.VariationID = "late"
	insertEvents(t, db, view)
	mustRun(t, runner, jobs.Request{Cutoff: date(25, 0)})
	_, rows, err := db.Table(t.Context(), "select variation_id, toString(viewed_at) from attributions where action_id = 'c' order by all", nil)
	if err != nil || len(rows) != 1 || rows[0][0] != "late" {
		t.Errorf("%v (%v)", rows, err)
	}
	equalsRebuild(t, db, runner)
	// On a day that was never published.
	view = viewAt(dateAt(3, 9, 45))
	view.VariationID = "later"
	insertEvents(t, db, view)
	mustRun(t, runner, jobs.Request{Cutoff: date(26, 0)})
	_, rows, err = db.Table(t.Context(), "select variation_id from attributions where action_id = 'c'", nil)
	if err != nil || len(rows) != 1 || rows[0][0] != "later" {
		t.Errorf("%v (%v)", rows, err)
	}
	equalsRebuild(t, db, runner)
}
