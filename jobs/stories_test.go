package jobs_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var update = flag.Bool("update", false, "write what the stories give into their files; read it before you commit it")

const storiesDir = "../sql/testdata"

// TestStories runs every story of sql/testdata and compares the tables drawn in it.
// Those with the same cutoff share a run, each in an account of its own.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(storiesDir, "*.txt"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d stories found in %s, at least 40 were written (%v)", len(files), storiesDir, err)
	}
	byCutoff := map[time.Time][]*toldStory{}
	for _, file := range files {
		s := readStory(t, file)
		byCutoff[s.cutoff] = append(byCutoff[s.cutoff], s)
	}
	for cutoff, stories := range byCutoff {
		t.Run("cutoff "+cutoff.Format("02 15:04"), func(t *testing.T) {
			db := warehousetest.Open(t)
			insertStories(t, db, stories)
			runner := jobs.NewRunner(db, func() time.Time { return date(30, 0).AddDate(0, 1, 0) }, slog.Default())
			if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: cutoff}); err != nil {
				t.Fatalf("run: %v", err)
			}
			stepsWroteFewRows(t, db)
			equalsPlain(t, db, cutoff)
			for _, s := range stories {
				t.Run(s.name, func(t *testing.T) { s.check(t, db, cutoff) })
			}
		})
	}
}

// stepsWroteFewRows holds the ledger to what stories of a few rows can come to, also
// where rows of a table are dropped between two steps that write to it.
func stepsWroteFewRows(t *testing.T, db *warehouse.DB) {
	t.Helper()
	_, steps, err := db.Table(t.Context(), "select step, rows from run_steps where rows > 10000", nil)
	if err != nil || len(steps) > 0 {
		t.Errorf("steps of a few rows are said to have written %v (%v)", steps, err)
	}
}

// toldStory is a file of sql/testdata: a sentence, what is given, and the tables.
type toldStory struct {
	name, file string
	given      string // everything up to the line "then"
	then       string
	cutoff     time.Time
	story      story
}

func readStory(t *testing.T, file string) *toldStory {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given, then, found := strings.Cut(string(text), "\nthen\n")
	if !found {
		given = string(text)
	}
	given = strings.TrimRight(given, "\n")
	s := &toldStory{name: strings.TrimSuffix(filepath.Base(file), ".txt"), file: file, given: given, then: then, cutoff: date(30, 0)}
	_, lines, found := strings.Cut(given, "\ngiven\n")
	if !found {
		t.Fatalf("%s has no line `given`", file)
	}
	for _, text := range strings.Split(lines, "\n") {
		if text = strings.TrimSpace(text); text != "" {
			s.line(t, text)
		}
	}
	return s
}

// line reads one given line: words, then `@ TIME`, then options in pairs. Times are
// a day of September 2026 and a time of day.
func (s *toldStory) line(t *testing.T, text string) {
	t.Helper()
	what, when, _ := strings.Cut(text, " @ ")
	words := strings.Fields(what)
	rest := strings.Fields(when)
	happened := septemberTime(t, rest[0]+" "+rest[1])
	options := map[string]string{}
	for rest = rest[2:]; len(rest) > 0; {
		n := 2
		if rest[0] == "received" || rest[0] == "until" {
			n = 3
		}
		options[rest[0]] = strings.Join(rest[1:n], " ")
		rest = rest[n:]
	}
	received := happened
	if r := options["received"]; r != "" {
		received = septemberTime(t, r)
	}
	id := uuid.Must(uuid.NewV7())
	if given := options["id"]; given != "" {
		id = uuid.MustParse(given)
	}
	switch words[0] {
	case "cutoff":
		s.cutoff = happened
	case "name":
		n := catalog.EventName{CustomerID: s.name, EventID: words[1], APIName: words[2], From: happened}
		if until := options["until"]; until != "" {
			to := septemberTime(t, until)
			n.To = &to
		}
		s.story.names = append(s.story.names, n)
	case "rule":
		rule, err := catalog.ParseRule(words[2], words[3])
		if err != nil {
			t.Fatal(err)
		}
		r := catalog.EventRule{CustomerID: s.name, EventID: words[1], Rule: rule, From: happened}
		if until := options["until"]; until != "" {
			to := septemberTime(t, until)
			r.To = &to
		}
		s.story.rules = append(s.story.rules, r)
	case "view":
		var attributes warehouse.Attributes
		if name, text, given := strings.Cut(options["with"], "="); given {
			attributes = warehouse.AttributesOf(map[string]string{name: text})
		}
		s.story.clientEvents = append(s.story.clientEvents, warehouse.ClientEvent{CustomerID: s.name, Type: "view", VisitorID: words[1], OptimizationID: words[2], VariationID: words[3], Attributes: attributes,
			OccurredAtMS: happened.UnixMilli(), ReceivedAtMS: received.UnixMilli(), IngestID: id})
	case "identify":
		s.story.clientEvents = append(s.story.clientEvents, warehouse.ClientEvent{CustomerID: s.name, Type: "identify", VisitorID: words[1], UserDomain: words[2], UserID: words[3],
			OccurredAtMS: happened.UnixMilli(), ReceivedAtMS: received.UnixMilli(), IngestID: id})
	case "activity":
		last, every := happened, time.Minute
		if options["every"] != "" { // as `every 25m until 22 00:00`
			var err error
			if every, err = time.ParseDuration(options["every"]); err != nil {
				t.Fatal(err)
			}
			last = septemberTime(t, options["until"])
		}
		for ; !happened.After(last); happened, received = happened.Add(every), received.Add(every) {
			s.story.clientEvents = append(s.story.clientEvents, warehouse.ClientEvent{CustomerID: s.name, Type: "activity", VisitorID: words[1],
				OccurredAtMS: happened.UnixMilli(), ReceivedAtMS: received.UnixMilli(), IngestID: id})
			id = uuid.Must(uuid.NewV7())
		}
	case "conversion":
		c := warehouse.Conversion{CustomerID: s.name, APIName: words[1], UserDomain: words[2], UserID: words[3], ActionID: words[4],
			ActionAtMS: happened.UnixMilli(), ReceivedAtMS: received.UnixMilli(), IngestID: id}
		if value := options["value"]; value != "" {
			c.Value = decimal.NewNullDecimal(decimal.RequireFromString(value))
		}
		s.story.conversions = append(s.story.conversions, c)
	case "restate", "retract": // as `restate bought c1 20.5 @ 22 10:00`
		a := warehouse.Adjustment{CustomerID: s.name, Kind: words[0], APIName: words[1], ActionID: words[2],
			AdjustedAtMS: happened.UnixMilli(), ReceivedAtMS: received.UnixMilli(), IngestID: id}
		if a.Kind == warehouse.Restate {
			a.Value = decimal.NewNullDecimal(decimal.RequireFromString(words[3]))
		}
		s.story.adjustments = append(s.story.adjustments, a)
	default:
		t.Fatalf("%s: what is %q?", s.file, text)
	}
}

func septemberTime(t *testing.T, text string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04:05.000", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, "2026-09-"+text); err == nil {
			return at
		}
	}
	t.Fatalf("%q is no time", text)
	return time.Time{}
}

func insertStories(t *testing.T, db *warehouse.DB, stories []*toldStory) {
	t.Helper()
	var all story
	for _, s := range stories {
		all.clientEvents = append(all.clientEvents, s.story.clientEvents...)
		all.conversions = append(all.conversions, s.story.conversions...)
		all.adjustments = append(all.adjustments, s.story.adjustments...)
		all.names = append(all.names, s.story.names...)
		all.rules = append(all.rules, s.story.rules...)
	}
	if err := db.InsertClientEvents(t.Context(), "", all.clientEvents); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertConversions(t.Context(), "", all.conversions); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertAdjustments(t.Context(), "", all.adjustments); err != nil {
		t.Fatal(err)
	}
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		for _, n := range all.names {
			if err := e.PutName(n); err != nil {
				return err
			}
		}
		return errors.Join(e.ImportRules(all.rules)...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// drawn are the columns that a story shows of each table.
var drawn = []struct{ table, sql string }{
	{"sessions", "visitor_id as visitor, toString(session_day) as day, started_at as started, last_event_at as last_event, expires_at as expires, events, views"},
	{"exposures", "optimization_id as optimization, variation_id as variation, visitor_id as visitor, toString(day) as day_, first_viewed_at as first_view, views"},
	{"entries", "optimization_id as optimization, visitor_id as visitor, variation_id as variation, entered_at as entered, if(empty(attributes), '-', toJSONString(attributes)) as described"},
	{"conversion_outcomes", "action_id as action, converted_at as converted, received_at as received, toString(outcome) as result"},
	{"attributions", "action_id as action, event_id as event, ifNull(toString(attributions.value), '-') as value_, optimization_id as optimization, variation_id as variation, visitor_id as visitor, session_started_at as session, viewed_at as viewed"},
}

// check compares the drawn tables, and the reference model with the same rows.
func (s *toldStory) check(t *testing.T, db *warehouse.DB, cutoff time.Time) {
	want := model(s.story, cutoff.UnixMilli())
	for _, table := range publishedTables {
		var got []string
		for _, row := range readPublished(t, db, table) {
			if strings.HasPrefix(row, s.name+" | ") {
				got = append(got, row)
			}
		}
		if d := diff(want[table], got); d != "" {
			t.Errorf("%s differs from the reference model:\n%s", table, d)
		}
	}
	var b strings.Builder
	for _, d := range drawn {
		b.WriteString(drawTable(t, db, s.name, d.table, d.sql))
	}
	if *update {
		if err := os.WriteFile(s.file, []byte(s.given+"\n\nthen\n"+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != s.then {
		t.Errorf("%s\nexpected:\n%s\ngot:\n%s", s.given, s.then, b.String())
	}
}

func drawTable(t *testing.T, db *warehouse.DB, account, name, sql string) string {
	t.Helper()
	header, rows, err := db.Table(t.Context(), "select "+sql+" from "+name+" where customer_id = {account:String} order by all", warehouse.Params{"account": account})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		return ""
	}
	for i := range header {
		header[i] = strings.TrimSuffix(strings.ReplaceAll(header[i], "_", " "), " ")
	}
	rows = append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.TrimPrefix(row[i], "2026-09-")
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s\n", name)
	for _, row := range rows {
		cells := slices.Clone(row)
		for i := range cells {
			cells[i] = fmt.Sprintf("%-*s", widths[i], cells[i])
		}
		b.WriteString("    " + strings.TrimRight(strings.Join(cells, " | "), " ") + "\n")
	}
	return b.String()
}
