package jobs_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// Erasing leaves what a rebuild without the person's rows gives, and runs go on incrementally.
func TestErase(t *testing.T) {
	t.Parallel()
	for name, person := range map[string]jobs.Person{
		"a visitor":                    {CustomerID: "c1", VisitorID: "v1"},
		"a user with a shared visitor": {CustomerID: "c1", UserDomain: "crm", UserID: "u1"},
	} {
		t.Run(name, func(t *testing.T) {
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(28, 0))
			runner.SetLimits(0, 1<<40)
			site(t, db, 18, 19, 20) // v1 is u1
			setRule(t, db, "2d", date(20, 0))
			event := func(visitor, kind string, at time.Time, user string) warehouse.ClientEvent {
				e := viewAt(at)
				e.VisitorID, e.Type = visitor, kind
				if kind != "view" {
					e.OptimizationID, e.VariationID = "", ""
				}
				if kind == "identify" {
					e.UserDomain, e.UserID = "crm", user
				}
				return e
			}
			insertEvents(t, db,
				event("v1", "identify", dateAt(19, 23, 50), "u2"), event("v1", "view", dateAt(20, 0, 10), ""), event("v1", "identify", dateAt(20, 0, 30), "u1"), event("v1", "view", dateAt(20, 0, 50), ""),
				event("v2", "view", dateAt(19, 10, 1), ""), event("v2", "identify", dateAt(19, 10, 2), "u2"),
				event("v3", "view", dateAt(19, 11, 1), ""), event("v3", "identify", dateAt(19, 11, 2), "alone"), event("v4", "view", dateAt(20, 11, 1), ""))
			for i, at := range []time.Time{dateAt(19, 10, 10), dateAt(20, 0, 55), dateAt(20, 12, 0)} {
				for _, user := range []string{"u1", "u2", "alone", "conversions only"} {
					insertConversion(t, db, user, user+string(rune('a'+i)), at)
				}
			}
			// One key of two users: the other one's copy stays, and its adjustment.
			insertConversion(t, db, "u2", "shared", dateAt(20, 0, 56))
			insertConversion(t, db, "u1", "shared", dateAt(20, 0, 57))
			for _, action := range []string{"shared", "alonea", "u1a"} {
				err := db.InsertAdjustments(t.Context(), "", []warehouse.Adjustment{{CustomerID: "c1", APIName: "bought", ActionID: action, Kind: warehouse.Retract,
					AdjustedAtMS: date(21, 0).UnixMilli(), ReceivedAtMS: date(21, 0).UnixMilli(), IngestID: uuid.Must(uuid.NewV7())}})
				if err != nil {
					t.Fatal(err)
				}
			}
			mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)})
			before := fingerprint(t, db)
			planned, err := runner.Erase(t.Context(), person, true)
			if err != nil {
				t.Fatal(err)
			}
			if fingerprint(t, db) != before {
				t.Error("a dry run changed something")
			}
			e, err := runner.Erase(t.Context(), person, false)
			if err != nil {
				t.Fatal(err)
			}
			if e.ErasedRows != planned.ErasedRows {
				t.Errorf("planned %+v, done %+v", planned.ErasedRows, e.ErasedRows)
			}
			record, _, err := jobs.Find(t.Context(), db, e.RunID)
			if err != nil || record.Mode != jobs.ModeErasure || record.Days == 0 {
				t.Errorf("run %+v (%v)", record, err)
			}
			for _, change := range e.Changes {
				if !slices.Contains(change.Causes, "erasure") {
					t.Errorf("%+v", change)
				}
			}
			if nobody, err := runner.Erase(t.Context(), jobs.Person{CustomerID: "c2", VisitorID: "v1"}, false); err != nil || nobody.Rows() > 0 || nobody.RunID != "" {
				t.Errorf("somebody of another account: %+v (%v)", nobody, err)
			}
			equalsPlain(t, db, date(22, 0))
			if record := mustRun(t, runner, jobs.Request{Cutoff: date(22, 0)}); record.Mode != jobs.ModeIncremental || record.Days != 0 {
				t.Errorf("the run after it is %s and publishes %d days", record.Mode, record.Days)
			}
			equalsRebuild(t, db, runner)
			var left uint64
			err = db.Row(t.Context(), `select (select count() from client_events where customer_id = {c:String} and (visitor_id = {v:String} or (user_domain, user_id) = ({d:String}, {u:String}) and user_id != ''))
				+ (select count() from conversions where customer_id = {c:String} and (user_domain, user_id) = ({d:String}, {u:String}))
				+ (select count() from erased_users) + (select count() from erased_visitors) + (select count() from erased_days) + (select count() from erased_keys)`,
				warehouse.Params{"c": person.CustomerID, "v": person.VisitorID, "d": person.UserDomain, "u": person.UserID}, &left)
			if err != nil || left != 0 {
				t.Errorf("%d rows are left (%v)", left, err)
			}
		})
	}
}

func TestEraseNobody(t *testing.T) {
	t.Parallel()
	runner := runnerAt(warehousetest.Open(t), date(28, 0))
	for _, p := range []jobs.Person{{}, {CustomerID: "c1"}, {CustomerID: "c1", UserID: "u1"}, {CustomerID: "c1", UserDomain: "d"}, {CustomerID: "c1", VisitorID: "v", UserDomain: "d", UserID: "u"}, {CustomerID: "c1", VisitorID: "v", UserID: "u"}, {VisitorID: "v"}} {
		if _, err := runner.Erase(t.Context(), p, true); err == nil {
			t.Errorf("%+v is taken for a person", p)
		}
	}
}

// An erasure that was cut off finds the rest when it is begun again: links go last. What a run has staged without publishing it goes, too.
func TestEraseAgain(t *testing.T) {
	t.Parallel()
	for name, published := range map[string]bool{"published": true, "nothing published": false} {
		t.Run(name, func(t *testing.T) {
			db := warehousetest.Open(t)
			runner := runnerAt(db, date(28, 0))
			site(t, db, 18)
			old := viewAt(dateAt(18, 12, 0).AddDate(0, -3, 0))
			insertEvents(t, db, old, viewAt(dateAt(19, 12, 0)))
			mustRun(t, runner, jobs.Request{Cutoff: date(22, 0), DryRun: !published})
			for table, which := range map[string]string{"client_events": "type != 'identify' and toYYYYMM(occurred_at) = 202606", "conversions": "1"} {
				err := db.Holding(t.Context(), table, func(ctx context.Context, db *warehouse.DB) error {
					return db.Exec(ctx, "alter table "+table+" delete where "+which+" settings mutations_sync = 1", nil)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			e, err := runner.Erase(t.Context(), jobs.Person{CustomerID: "c1", UserDomain: "crm", UserID: "u1"}, false)
			if err != nil || e.Visitors != 1 || e.ClientEvents != 3 || !slices.Equal(e.Traces.Visitors, []string{"v1"}) {
				t.Errorf("%+v (%v)", e, err)
			}
			for _, table := range []string{"client_events", "identifies", "sessions_versions", "exposures_versions", "entries_versions", "decisions_versions", "night_conversions", "night_links", "night_candidates", "night_views", "night_visitor_days", "night_concerned", "night_first_views", "night_entries"} {
				var rows uint64
				if err := db.Row(t.Context(), "select count() from "+table, nil, &rows); err != nil || rows > 0 {
					t.Errorf("%s has %d rows (%v)", table, rows, err)
				}
			}
		})
	}
}
