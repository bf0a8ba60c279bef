package jobs_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// onServer opens a server from a data folder of its own.
func onServer(t *testing.T, server chdb.Endpoint, user, password string) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), warehouse.Config{
		DataDir: t.TempDir(), URL: "http://" + user + ":" + password + "@" + server.Address, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// crowd inserts visitors who see a variation late on one of several evenings, are known, and convert
// about midnight, some twice.
func crowd(t *testing.T, db *warehouse.DB, visitors int) {
	t.Helper()
	var clientEvents []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for i := range visitors {
		at := date(1+i%3, 23).Add(time.Duration(i%60) * time.Minute).UnixMilli()
		visitor, user := fmt.Sprintf("v%03d", i), fmt.Sprintf("u%03d", i)
		for _, e := range []warehouse.ClientEvent{
			{Type: "view", OptimizationID: "hero", VariationID: []string{"a", "b"}[i%2]}, {Type: "view", OptimizationID: "price", VariationID: "x"},
			{Type: "identify", UserDomain: "crm", UserID: user}, {Type: "activity"},
		} {
			e.CustomerID, e.VisitorID, e.OccurredAtMS, e.ReceivedAtMS, e.IngestID = "c1", visitor, at, at, uuid.Must(uuid.NewV7())
			clientEvents = append(clientEvents, e)
		}
		for copies := range 1 + i%2 {
			conversions = append(conversions, warehouse.Conversion{
				CustomerID: "c1", APIName: "bought", UserDomain: "crm", UserID: user, ActionID: user,
				ActionAtMS: at + 5*minuteMS, ReceivedAtMS: at + int64(6+copies)*minuteMS, IngestID: uuid.Must(uuid.NewV7()),
			})
		}
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

const allPublished = `select toString((
	(select (count(), sum(cityHash64(*))) from sessions), (select (count(), sum(cityHash64(*))) from exposures),
	(select (count(), sum(cityHash64(*))) from attributions), (select (count(), sum(cityHash64(*))) from conversion_outcomes)))`

func publishedHash(t *testing.T, db *warehouse.DB) (hash string) {
	t.Helper()
	if err := db.Row(t.Context(), allPublished, nil, &hash); err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestProfilesOfServers runs the night as users whose profiles change what SQL means. What is
// published is the same, or nothing is.
func TestProfilesOfServers(t *testing.T) {
	t.Parallel()
	profiles := []string{
		"<limit>20</limit>", "<offset>3</offset>", "<final>1</final>", "<join_default_strictness>ANY</join_default_strictness>", "<join_use_nulls>1</join_use_nulls>",
		"<prefer_column_name_to_alias>1</prefer_column_name_to_alias>", "<compatibility>22.8</compatibility>", "<enable_analyzer>0</enable_analyzer>",
		"<use_query_cache>1</use_query_cache>", "<session_timezone>Asia/Tokyo</session_timezone>", "<transform_null_in>1</transform_null_in>",
		"<async_insert>1</async_insert><wait_for_async_insert>0</wait_for_async_insert>", "<insert_deduplicate>0</insert_deduplicate>",
		"<union_default_mode>DISTINCT</union_default_mode>", "<aggregate_functions_null_for_empty>1</aggregate_functions_null_for_empty>",
		"<max_rows_in_set>10</max_rows_in_set><set_overflow_mode>break</set_overflow_mode>",
		"<max_rows_in_join>10</max_rows_in_join><join_overflow_mode>break</join_overflow_mode>",
		"<max_rows_to_read>100</max_rows_to_read><read_overflow_mode>break</read_overflow_mode>",
		"<max_rows_to_group_by>10</max_rows_to_group_by><group_by_overflow_mode>any</group_by_overflow_mode>",
		"<max_result_rows>10</max_result_rows><result_overflow_mode>break</result_overflow_mode>",
		"<async_insert>0</async_insert><session_timezone>UTC</session_timezone><constraints><async_insert><const/></async_insert><session_timezone><const/></session_timezone>" +
			"<limit><const/></limit><offset><const/></offset><final><const/></final><use_query_cache><const/></use_query_cache><read_overflow_mode><const/></read_overflow_mode></constraints>",
		"<max_concurrent_queries_for_user>3</max_concurrent_queries_for_user>",
		"<max_execution_time>600</max_execution_time><constraints><max_execution_time><const/></max_execution_time></constraints>",
		"<max_partitions_per_insert_block>100</max_partitions_per_insert_block><constraints><max_partitions_per_insert_block><const/></max_partitions_per_insert_block></constraints>",
	}
	var users []string
	for i, settings := range profiles {
		users = append(users, warehousetest.User(fmt.Sprintf("user%d", i), settings))
	}
	server := warehousetest.Server(t, users...)
	operator := onServer(t, server, server.User, server.Password)
	if _, _, err := operator.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	crowd(t, operator, 120)
	cutoff := date(10, 0)
	mustRun(t, runnerAt(operator, cutoff), jobs.Request{Cutoff: cutoff})
	want := publishedHash(t, operator)
	if strings.Contains(want, "(0,") {
		t.Fatalf("a table is empty: %s", want)
	}
	for i, settings := range profiles {
		db := onServer(t, server, fmt.Sprintf("user%d", i), "pw")
		_, err := runnerAt(db, cutoff).Run(t.Context(), jobs.Request{Cutoff: cutoff, Full: true})
		if got := publishedHash(t, operator); got != want {
			t.Errorf("%s: published is %s, expected %s (the run ended with %v)", settings, got, want, err)
		}
		if limited := strings.Contains(settings, "max_r"); err != nil && !limited || err == nil && settings == "<max_rows_to_read>100</max_rows_to_read><read_overflow_mode>break</read_overflow_mode>" {
			t.Errorf("%s: the run ended with %v", settings, err)
		}
	}
}

// TestRunsFromTwoFolders lets runs from two data folders meet on one server.
func TestRunsFromTwoFolders(t *testing.T) {
	t.Parallel()
	server := warehousetest.Server(t)
	dbs := []*warehouse.DB{onServer(t, server, server.User, server.Password), onServer(t, server, server.User, server.Password)}
	if _, _, err := dbs[0].Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	crowd(t, dbs[0], 300)
	cutoff := date(10, 0)
	for range 3 {
		var both sync.WaitGroup
		for _, db := range dbs {
			both.Go(func() {
				if _, err := runnerAt(db, cutoff).Run(t.Context(), jobs.Request{Cutoff: cutoff, Full: true}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		var sessions, versions, runs uint64
		if err := dbs[1].Row(t.Context(), "select (select count() from sessions), uniqExact(version), count() from run_log final", nil, &sessions, &versions, &runs); err != nil {
			t.Fatal(err)
		}
		if sessions != 300 || versions != runs {
			t.Errorf("%d of 300 sessions are published; %d runs have %d versions", sessions, runs, versions)
		}
	}
}

// TestEventsWithoutASession: a run whose working set was emptied under it would stage no sessions.
func TestEventsWithoutASession(t *testing.T) {
	t.Parallel()
	db := warehousetest.Open(t)
	site(t, db, 1, 2)
	record := mustRun(t, runnerAt(db, date(3, 0)), jobs.Request{Cutoff: date(3, 0)})
	for _, check := range sql.Checks() {
		if check.Name != "sessions_hold_every_event" {
			continue
		}
		params := warehouse.Params{"day": warehouse.Day(date(2, 0)), "cutoff": warehouse.Time(date(3, 0)), "settled_before": warehouse.Time(time.Now().Add(time.Hour))}
		for version, want := range map[uint64]string{record.Version: "[]", record.Version + 1: "[[0 2 2]]"} {
			if _, wrong, err := db.Table(t.Context(), check.SQL, params.With("version", version)); err != nil || fmt.Sprint(wrong) != want {
				t.Errorf("of version %d: %v %v, expected %s", version, wrong, err, want)
			}
		}
		return
	}
	t.Error("there is no such check")
}
