package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == serviceArg {
		if err := runService(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	warehousetest.Main(m)
}

// columns are those of docs/tables.md, in its order.
var columns = map[string][]string{
	"sessions":            {"customer_id", "visitor_id", "session_day", "started_at", "last_event_at", "expires_at", "events", "views"},
	"exposures":           {"customer_id", "optimization_id", "variation_id", "visitor_id", "day", "first_viewed_at", "views"},
	"attributions":        {"customer_id", "conversion_day", "event_id", "api_name", "action_id", "user_domain", "user_id", "converted_at", "value", "optimization_id", "variation_id", "visitor_id", "session_started_at", "viewed_at"},
	"entries":             {"customer_id", "optimization_id", "visitor_id", "variation_id", "entered_at", "attributes"},
	"conversion_outcomes": {"customer_id", "conversion_day", "api_name", "action_id", "converted_at", "received_at", "ingest_id", "outcome", "event_id", "user_domain", "user_id", "value"},
}

// publishedTables are the tables that runs write, in the order they are told of.
var publishedTables = []string{"sessions", "exposures", "entries", "attributions", "conversion_outcomes"}

// readPublished returns the rows of a published table as text, sorted.
func readPublished(t testing.TB, db *warehouse.DB, table string) []string {
	t.Helper()
	return readRows(t, db, table, table)
}

// readRows reads the columns of a published table from a table.
func readRows(t testing.TB, db *warehouse.DB, table, from string) []string {
	t.Helper()
	var texts []string
	for _, column := range columns[table] {
		if column == "value" || column == "session_started_at" {
			column = "ifNull(toString(" + column + "), '')"
		} else if column == "attributes" {
			column = "if(empty(attributes), '', toJSONString(attributes))"
		}
		texts = append(texts, "toString("+column+")")
	}
	_, rows, err := db.Table(t.Context(), "select "+strings.Join(texts, ", ")+" from "+from, nil)
	if err != nil {
		t.Fatalf("read %s: %v", from, err)
	}
	lines := []string{}
	for _, row := range rows {
		lines = append(lines, strings.Join(row, " | "))
	}
	slices.Sort(lines)
	return lines
}

// fingerprint is a hash of every row of every published table.
func fingerprint(t testing.TB, db *warehouse.DB) string {
	t.Helper()
	var prints []string
	for _, table := range publishedTables {
		var print string
		err := db.Row(t.Context(), "select hex(MD5(arrayStringConcat(groupArray(toString(tuple(*)))))) from (select * from "+table+" order by all)", nil, &print)
		if err != nil {
			t.Fatalf("fingerprint %s: %v", table, err)
		}
		prints = append(prints, print)
	}
	return strings.Join(prints, " ")
}

// diff says how rows differ from those expected; "" when they don't.
func diff(want, got []string) string {
	var b strings.Builder
	for _, row := range want {
		if !slices.Contains(got, row) {
			b.WriteString("  missing    " + row + "\n")
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			b.WriteString("  unexpected " + row + "\n")
		}
	}
	if b.Len() == 0 && len(want) != len(got) {
		b.WriteString("  the rows are the same, but not as often\n")
	}
	return b.String()
}

func date(day, hour int) time.Time { return time.Date(2026, 9, day, hour, 0, 0, 0, time.UTC) }

// equalsPlain holds what is published to what the statements of sql/plain give.
func equalsPlain(t testing.TB, db *warehouse.DB, cutoff time.Time) {
	t.Helper()
	files, err := filepath.Glob("../sql/plain/*.sql")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d statements of the plain night (%v)", len(files), err)
	}
	params := warehouse.Params{
		"cutoff": warehouse.Time(cutoff), "clocks_apart_seconds": int(jobs.ClocksApart.Seconds()), "view_lookback_days": int(jobs.ViewLookback.Hours() / 24),
		"session_gap_minutes": int(jobs.SessionGap.Minutes()), "session_cap_hours": int(jobs.SessionCap.Hours()),
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec(t.Context(), string(text), params.For(string(text))); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for _, table := range publishedTables {
		plain := readRows(t, db, table, "plain_"+table)
		if d := diff(plain, readPublished(t, db, table)); d != "" {
			t.Errorf("%s differs from the plain night:\n%s", table, d)
		}
		if len(plain) == 0 {
			t.Errorf("the plain night gives no %s", table)
		}
	}
}
