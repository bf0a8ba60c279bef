package dashboards_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v4"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var update = flag.Bool("update", false, "write the columns that the panels give into testdata")

func TestMain(m *testing.M) { warehousetest.Main(m) }

// dashboard is what the tests need of Grafana's JSON.
type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Query, Type string
			Multi             bool
		}
	}
}

type panel struct {
	ID          int
	Title, Type string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RawSQL     string `json:"rawSql"`
		QueryType  string
		Datasource struct{ UID string }
	}
}

func readDashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	var list []dashboard
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, d)
	}
	return list
}

// expand does to a panel's SQL what Grafana and the plugin do: macros, then variables.
func expand(t *testing.T, sql string, from, to time.Time, variables map[string][]string) string {
	t.Helper()
	sql = regexp.MustCompile(`\$__timeFilter\((\w+)\)`).ReplaceAllString(sql,
		fmt.Sprintf("$1 >= toDateTime(%d) AND $1 <= toDateTime(%d)", from.Unix(), to.Unix()))
	sql = regexp.MustCompile(`\$__timeInterval\((\w+)\)`).ReplaceAllString(sql, "toStartOfInterval(toDateTime($1), INTERVAL 60 second)")
	sql = strings.NewReplacer(
		"$__fromTime", fmt.Sprintf("toDateTime(%d)", from.Unix()),
		"$__toTime", fmt.Sprintf("toDateTime(%d)", to.Unix()),
	).Replace(sql)
	for name, values := range variables {
		var quoted []string
		for _, value := range values {
			quoted = append(quoted, "'"+strings.ReplaceAll(value, "'", "''")+"'")
		}
		sql = strings.ReplaceAll(sql, "${"+name+":sqlstring}", strings.Join(quoted, ","))
	}
	if i := strings.Index(sql, "$"); i >= 0 {
		t.Errorf("nothing expands %.30q", sql[i:])
	}
	return sql
}

// Every panel's and every variable's SQL runs on the engine, gives rows, and the
// columns that the panel is made for.
func TestPanels(t *testing.T) {
	db, now := filledSite(t)
	var columnsOf strings.Builder
	for _, d := range readDashboards(t) {
		chosen := map[string][]string{}
		for _, v := range d.Templating.List {
			columns, rows, err := db.Table(t.Context(), expand(t, v.Query, now.Add(-30*24*time.Hour), now, chosen), nil)
			if err != nil || len(columns) != 1 || len(rows) == 0 {
				t.Fatalf("%s: variable %s: %v %v, %v", d.Title, v.Name, columns, rows, err)
			}
			for _, row := range rows {
				chosen[v.Name] = append(chosen[v.Name], row[0])
			}
			if !v.Multi {
				chosen[v.Name] = chosen[v.Name][:1]
			}
		}
		for _, p := range d.Panels {
			columns, rows, err := db.Table(t.Context(), expand(t, p.Targets[0].RawSQL, now.Add(-30*24*time.Hour), now, chosen), nil)
			if err != nil {
				t.Errorf("%s: %s: %v", d.Title, p.Title, err)
				continue
			}
			if len(rows) == 0 {
				t.Errorf("%s: %s: no rows", d.Title, p.Title)
			}
			if p.Targets[0].QueryType == "timeseries" && columns[0] != "time" {
				t.Errorf("%s: %s: a time series begins with %s", d.Title, p.Title, columns[0])
			}
			fmt.Fprintf(&columnsOf, "%s | %s | %s\n", d.Title, p.Title, strings.Join(columns, ", "))
		}
	}
	const golden = "testdata/columns.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(columnsOf.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != columnsOf.String() {
		t.Errorf("the columns are not those of %s (run with -update and read the difference): %v\n%s", golden, err, columnsOf.String())
	}
}

// Every query of docs/sql.md runs and gives rows, but for one about what should not be.
func TestQueriesOfTheDocs(t *testing.T) {
	db, _ := filledSite(t)
	text, err := os.ReadFile("../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	questions := regexp.MustCompile("(?s)\n## ([^\n]+)\n.*?```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(questions) < 10 {
		t.Fatalf("%d questions", len(questions))
	}
	for _, question := range questions {
		_, rows, err := db.Table(t.Context(), question[2], nil)
		if err != nil || len(rows) == 0 && question[1] != "Who saw more than one variation?" {
			t.Errorf("%s %d rows, %v", question[1], len(rows), err)
		}
	}
}

// Analysts may ask every statement of dashboards and alerts.
func TestAnalystsMayAskThem(t *testing.T) {
	// In the database that they know.
	db, err := warehouse.Open(t.Context(), warehouse.Config{DataDir: warehousetest.DataDir(), EngineCommand: warehousetest.Command(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	port := httptest.NewServer(db.Analysts(""))
	defer port.Close()
	var statements []string
	chosen := map[string][]string{"account": {"c1"}, "optimization": {"hero"}, "event": {"e1"}, "attribute": {"device"}, "segment": {"mobile"}}
	for _, d := range readDashboards(t) {
		for _, v := range d.Templating.List {
			statements = append(statements, expand(t, v.Query, time.Now(), time.Now(), chosen))
		}
		for _, p := range d.Panels {
			statements = append(statements, expand(t, p.Targets[0].RawSQL, time.Now(), time.Now(), chosen))
		}
	}
	for _, r := range readRules(t) {
		statements = append(statements, r.Data[0].Model.RawSQL)
	}
	for _, statement := range statements {
		res, err := http.Post(port.URL, "", strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s\n%s", statement, answer)
		}
	}
	if len(statements) < 30 {
		t.Errorf("only %d statements were asked", len(statements))
	}
}

// The analysts' user of a server may read what is published, and nothing else.
func TestAnalystReadsThePublishedTables(t *testing.T) {
	var file struct {
		Queries []string `xml:"users>analyst>grants>query"`
	}
	text, err := os.ReadFile("clickhouse/analyst.xml")
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, query := range file.Queries {
		if !strings.Contains(query, " tieback.") {
			continue
		}
		granted = append(granted, strings.TrimPrefix(query, "GRANT SELECT ON tieback."))
	}
	private := regexp.MustCompile(`^(catalog_.*|night_.*|erased_.*|.*_versions|published_days|run_log|results_noted|run_names|run_rules|identifies|new_client_events|new_conversions|new_adjustments|import_ids|import_keys|lock_tables|keeper_locks|lock_(run|migrate|catalog)_\d+|cluster_shards|shard_place|schema_migrations)$`)
	_, tables, err := warehousetest.Open(t).Table(t.Context(), "select name from system.tables where database = currentDatabase()", nil)
	if err != nil {
		t.Fatal(err)
	}
	var published []string
	for _, table := range tables {
		if !private.MatchString(table[0]) {
			published = append(published, table[0])
		}
	}
	slices.Sort(granted)
	slices.Sort(published)
	if !slices.Equal(granted, published) {
		t.Errorf("granted   %v\npublished %v", granted, published)
	}
}

// What people and Grafana rely on when a dashboard is replaced by a newer one.
func TestDashboardsAreSound(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range readDashboards(t) {
		if !strings.HasPrefix(d.UID, "tieback-") {
			t.Errorf("%s has the uid %q", d.Title, d.UID)
		}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			if !strings.HasSuffix(p.Title, "?") || p.Description == "" {
				t.Errorf("%s: %q asks nothing, or nothing explains it", d.Title, p.Title)
			}
			if !strings.Contains(string(readme), p.Title) {
				t.Errorf("README.md does not tell what %q answers", p.Title)
			}
			if p.Targets[0].Datasource.UID != "tieback" {
				t.Errorf("%s: %s reads from %q", d.Title, p.Title, p.Targets[0].Datasource.UID)
			}
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %s lies over %s", d.Title, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// rule is an alert of the provisioning file.
type rule struct {
	UID, Title string
	Data       []struct {
		Model struct {
			RawSQL     string `yaml:"rawSql"`
			Conditions []struct {
				Evaluator struct {
					Type   string
					Params []float64
				}
			}
		}
	}
}

func readRules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("provisioning/alerting/tieback.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	rules := map[string]rule{}
	for _, r := range file.Groups[0].Rules {
		rules[r.UID] = r
	}
	return rules
}

// fires reports whether Grafana would raise the alarm.
func (r rule) fires(t *testing.T, db *warehouse.DB) bool {
	t.Helper()
	_, rows, err := db.Table(t.Context(), r.Data[0].Model.RawSQL, nil)
	if err != nil || len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("%s: %v %v", r.Title, rows, err)
	}
	value, err := strconv.ParseFloat(rows[0][0], 64)
	if err != nil {
		t.Fatalf("%s: %v", r.Title, err)
	}
	evaluator := r.Data[1].Model.Conditions[0].Evaluator
	if evaluator.Type != "gt" || len(evaluator.Params) != 1 {
		t.Fatalf("%s compares by %+v", r.Title, evaluator)
	}
	return value > evaluator.Params[0]
}

// Each alert rests while all is well, and fires on what it is for.
func TestAlerts(t *testing.T) {
	rules := readRules(t)
	for uid, c := range map[string]struct{ well, wrong []string }{
		"tieback-no-run": {
			well:  []string{"insert into run_log (run_id, revision, cutoff, state, version) values ('1', 2, toStartOfDay(now('UTC')), 'done', 1)"},
			wrong: []string{"insert into run_log (run_id, revision, cutoff, state, version) values ('1', 3, toStartOfDay(now('UTC')) - interval 3 day, 'done', 1), ('2', 2, toStartOfDay(now('UTC')), 'failed', 0)"},
		},
		"tieback-turned-around": {
			well: []string{
				"insert into run_log (run_id, revision, cutoff, finished_at, state, version) values ('1', 2, now64(3), now64(3), 'done', 1), ('2', 2, now64(3), now64(3), 'failed', 2)",
				"insert into results_noted (run_id, event_id, turned_around) values ('1', 'e', 0), ('2', 'e', 1)",
			},
			wrong: []string{"insert into results_noted (run_id, event_id, turned_around) values ('1', 'e', 1)"},
		},
		"tieback-spool": {
			well: []string{"insert into service_minutes (at, spool_oldest_seconds) values (now64(3) - 60, 5000), (now64(3) - 1, 3)"},
			wrong: []string{
				"insert into service_minutes (at, spool_oldest_seconds) values (now64(3), 601)",
				"truncate table service_minutes", // nobody reports
			},
		},
		"tieback-dead-letters": {
			well:  []string{"insert into service_minutes (at, dead_letters) values (now64(3), 0), (now64(3) - toIntervalHour(2), 7)"},
			wrong: []string{"insert into service_minutes (at, dead_letters) values (now64(3), 1)"},
		},
		"tieback-match-rate": {
			well:  []string{publishOutcomes(7, 50, 40), publishOutcomes(0, 50, 25), "insert into run_log (run_id, revision, cutoff, state, version) values ('1', 2, toStartOfDay(now('UTC')), 'done', 1)"},
			wrong: []string{publishOutcomes(0, 50, 3)},
		},
	} {
		t.Run(uid, func(t *testing.T) {
			db := warehousetest.Open(t)
			if rules[uid].Title == "" {
				t.Fatal("no such rule")
			}
			for _, statement := range c.well {
				exec(t, db, statement)
			}
			if rules[uid].fires(t, db) {
				t.Error("it fires while all is well")
			}
			for _, statement := range c.wrong {
				exec(t, db, statement)
				if !rules[uid].fires(t, db) {
					t.Errorf("it does not fire after %s", statement)
				}
			}
			delete(rules, uid)
		})
	}
	for uid := range rules {
		t.Errorf("%s is not tested", uid)
	}
}

// publishOutcomes gives each of the days before yesterday, or yesterday for 0, so many
// conversions of which so many are attributed. A later call for a day adds to it.
func publishOutcomes(days, received, attributed int) string {
	return fmt.Sprintf(`insert into decisions_versions (customer_id, day, api_name, action_id, ingest_id, outcome, version)
		select 'c1', today() - 1 - if(%[1]d = 0, 0, 1 + number %% greatest(%[1]d, 1)), 'n', toString(number), generateUUIDv4(),
			if(intDiv(number, greatest(%[1]d, 1)) < %[3]d, 'attributed', 'no_identity'), 1
		from numbers(%[2]d * greatest(%[1]d, 1))`, days, received, attributed)
}

func exec(t *testing.T, db *warehouse.DB, statement string) {
	t.Helper()
	if err := db.Exec(t.Context(), statement, nil); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if strings.Contains(statement, "decisions_versions") {
		err := db.Exec(t.Context(), "insert into published_days (table_name, day, version) select distinct 'decisions_versions', day, 1 from decisions_versions", nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// filledSite has a few days of two accounts, published, and an hour of a service.
func filledSite(t *testing.T) (db *warehouse.DB, now time.Time) {
	t.Helper()
	db = warehousetest.Open(t)
	now = time.Now().UTC().Truncate(time.Millisecond)
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		for _, customer := range []string{"c1", "c'2"} {
			if err := e.PutName(catalog.EventName{CustomerID: customer, EventID: "e1", APIName: "bought", From: now.AddDate(0, -2, 0)}); err != nil {
				return err
			}
			err := e.PutOptimization(catalog.Optimization{CustomerID: customer, OptimizationID: "hero", Name: "Hero"}, []catalog.Variation{
				{VariationID: "a", Name: "Base", IsBaseline: true, Weight: 1}, {VariationID: "b", Name: "New", Weight: 1},
			})
			if err != nil {
				return err
			}
			if err := e.AddGoal(catalog.Goal{CustomerID: customer, OptimizationID: "hero", EventID: "e1", IsPrimary: true}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, now, 5, 60)
	runner := jobs.NewRunner(db, time.Now, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: now}); err != nil {
		t.Fatal(err)
	}
	fill(t, db, now.Add(-24*time.Hour), 1, 5) // late, so that figures of the past change
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: now}); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `insert into service_minutes (at, host, conversions, client_events, inserted_rows, insert_batches, spool_bytes, spool_oldest_seconds)
		select now64(3) - number * 60, 'host', 10, 20, 30, 2, 1000, 0.5 from numbers(60)`)
	return db, time.Now().Add(time.Minute)
}

func fill(t *testing.T, db *warehouse.DB, now time.Time, days, visitors int) {
	t.Helper()
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for _, customer := range []string{"c1", "c'2"} {
		for i := range days * visitors {
			at := now.Add(-time.Duration(i%days)*24*time.Hour - 2*time.Hour).UnixMilli()
			visitor := uuid.NewString()
			view := warehouse.ClientEvent{
				CustomerID: customer, VisitorID: visitor, Type: "view", OptimizationID: "hero", VariationID: []string{"a", "b"}[i%2],
				OccurredAtMS: at, ReceivedAtMS: at, IngestID: uuid.New(),
			}
			identify := view
			identify.Type, identify.OptimizationID, identify.VariationID, identify.IngestID = "identify", "", "", uuid.New()
			identify.UserDomain, identify.UserID = "crm", visitor
			events = append(events, view, identify)
			conversion := warehouse.Conversion{
				CustomerID: customer, APIName: "bought", UserDomain: "crm", UserID: visitor, ActionID: visitor,
				ActionAtMS: at + 60_000, ReceivedAtMS: at + 3_600_000, IngestID: uuid.New(), Value: decimal.NewNullDecimal(decimal.New(int64(i), -2)),
			}
			if i%3 == 0 {
				conversion.UserID = "nobody"
			}
			conversions = append(conversions, conversion)
		}
	}
	if err := db.InsertClientEvents(t.Context(), "", events); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertConversions(t.Context(), "", conversions); err != nil {
		t.Fatal(err)
	}
}
