package warehouse_test

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// migrationName is the table or view that a migration makes, by the name of its file.
func migrationName(file string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(file, ".up.sql"), "_")
	return name
}

// TestSchemaIsWhatTheFilesSay holds each table and view to its file: one for each, as it is now.
func TestSchemaIsWhatTheFilesSay(t *testing.T) {
	db := warehousetest.Open(t)
	var live []struct {
		Name    string `ch:"name"`
		Made    string `ch:"made"`
		Comment string `ch:"comment"`
	}
	err := db.Select(t.Context(), &live, `select name, create_table_query as made, comment from system.tables
		where database = currentDatabase() and name != 'schema_migrations' and not startsWith(name, '.') order by name`, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(sql.Migrations(), "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, file := range files {
		text, err := fs.ReadFile(sql.Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "alter table ") { // those bring older schemas to what the files say
			written[migrationName(file)] = string(text)
		}
	}
	if len(written) != len(live) {
		t.Errorf("%d files make %d tables and views", len(written), len(live))
	}
	var database string
	if err := db.Row(t.Context(), "select currentDatabase()", nil, &database); err != nil {
		t.Fatal(err)
	}
	plain := func(statement string) (text string) {
		if err := db.Row(t.Context(), "select formatQuerySingleLine({statement:String})", warehouse.Params{"statement": statement}, &text); err != nil {
			t.Fatalf("%v: %s", err, statement)
		}
		text = regexp.MustCompile("`?"+database+"`?\\.").ReplaceAllString(text, "")
		text = regexp.MustCompile(` (DEFINER = \S+ SQL SECURITY \S+|UUID '[^']*'|IF NOT EXISTS|OR REPLACE)`).ReplaceAllString(text, "")
		text = regexp.MustCompile(`(, )?index_granularity = \d+`).ReplaceAllString(text, "")
		return strings.NewReplacer("`", "", " SETTINGS  COMMENT", " COMMENT", "SETTINGS ,", "SETTINGS ", "CREATE VIEW ", "", "CREATE TABLE ", "").Replace(text)
	}
	var views int
	for _, table := range live {
		if table.Comment == "" {
			t.Errorf("%s has no comment", table.Name)
		}
		if strings.HasPrefix(table.Made, "CREATE VIEW") {
			views++
			if !strings.Contains(written[table.Name], " view "+table.Name+"\n") {
				t.Errorf("no file makes the view %s", table.Name)
			}
			continue
		}
		if got, want := plain(table.Made), plain(written[table.Name]); got != want {
			t.Errorf("%s is\n%s\nits file says\n%s", table.Name, got, want)
		}
	}
	if views < 10 {
		t.Errorf("there are %d views", views)
	}
	_, silent, err := db.Table(t.Context(), `select table, name from system.columns
		where database = currentDatabase() and table != 'schema_migrations' and comment = '' order by all`, nil)
	if err != nil || len(silent) > 0 {
		t.Errorf("columns without a comment: %v (%v)", silent, err)
	}
}

// analystsTables are the tables that analysts and dashboards rely on, with the columns that each must have.
var analystsTables = map[string]string{
	"client_events":   "customer_id, visitor_id, type, optimization_id, variation_id, attributes, user_domain, user_id, occurred_at, received_at, inserted_at, ingest_id",
	"conversions":     "customer_id, api_name, user_domain, user_id, action_id, action_at, value, received_at, inserted_at, ingest_id",
	"adjustments":     "customer_id, api_name, action_id, kind, value, adjusted_at, received_at, inserted_at, ingest_id",
	"event_rules":     "customer_id, event_id, window_days, credit, valid_from, valid_to",
	"event_names":     "customer_id, event_id, api_name, valid_from, valid_to",
	"sessions":        "customer_id, visitor_id, session_day, started_at, last_event_at, expires_at, events, views",
	"exposures":       "customer_id, optimization_id, variation_id, visitor_id, day, first_viewed_at, views",
	"entries":         "customer_id, optimization_id, visitor_id, variation_id, entered_at, attributes",
	"results_history": "run_id, cutoff, customer_id, optimization_id, event_id, variation_id, entered, mature, converters, rate, value_total, value_per_visitor, saw_another",
	"attributions": "customer_id, conversion_day, event_id, api_name, action_id, user_domain, user_id, converted_at, value, " +
		"optimization_id, variation_id, visitor_id, session_started_at, viewed_at",
	"conversion_outcomes": "customer_id, conversion_day, api_name, action_id, converted_at, received_at, ingest_id, outcome, event_id, user_domain, user_id, value",
	"accounts":            "customer_id",
	"optimizations":       "customer_id, optimization_id, name",
	"variations":          "customer_id, optimization_id, variation_id, name, is_baseline, weight",
	"goals":               "customer_id, optimization_id, event_id, is_primary",
	"variation_daily":     "customer_id, day, optimization_id, variation_id, event_id, visitors, conversions, converters, value",
	"runs":                "run_id, cutoff, started_at, finished_at, state, days, rows, error",
}

func TestTablesHaveTheColumnsPromised(t *testing.T) {
	db := warehousetest.Open(t)
	for table, columns := range analystsTables {
		var has []string
		query := "select groupArray(name) from system.columns where database = currentDatabase() and table = {table:String}"
		if err := db.Row(t.Context(), query, warehouse.Params{"table": table}, &has); err != nil {
			t.Fatal(err)
		}
		for _, column := range strings.Split(columns, ", ") {
			if !slices.Contains(has, column) {
				t.Errorf("%s has no column %s: %v", table, column, has)
			}
		}
	}
}

// TestSchemaBeforeTheFirstRelease: nothing was ever released with it, so it is refused in words.
func TestSchemaBeforeTheFirstRelease(t *testing.T) {
	db := warehousetest.Open(t)
	if err := db.Exec(t.Context(), "drop table entries_versions sync", nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Migrate(t.Context()); !errors.Is(err, warehouse.ErrBeforeRelease) {
		t.Errorf("migrate gives %v", err)
	}
	if _, _, err := db.Schema(t.Context()); !errors.Is(err, warehouse.ErrBeforeRelease) {
		t.Errorf("the schema's version gives %v", err)
	}
}
