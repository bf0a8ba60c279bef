package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest/history"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

var (
	histories = flag.Int("histories", 400, "random histories to check")
	firstSeed = flag.Int("seed", 0, "seed of the first history")
)

// TestRandomHistories compares the SQL with the reference model. Many histories,
// each with accounts of its own, share one run, so that hundreds take seconds.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	const batches = 4
	for batch := range batches {
		// Midnights, and moments that are none.
		cutoff := date(24+batch, 0).Add(time.Duration(batch%2) * 7 * time.Hour)
		t.Run(fmt.Sprintf("cutoff %s", cutoff.Format(time.DateTime)), func(t *testing.T) {
			t.Parallel()
			checkHistories(t, *firstSeed+batch**histories/batches, *histories/batches, cutoff)
		})
	}
}

func checkHistories(t *testing.T, seed, count int, cutoff time.Time) {
	db := warehousetest.Open(t)
	generator := rapid.Custom(drawStory)
	stories := make([]story, count)
	var lines [][]byte
	for i := range stories {
		stories[i] = generator.Example(seed + i).inAccountsOf(fmt.Sprintf("h%d", seed+i))
		lines = append(lines, stories[i].lines(t)...)
	}
	shuffle := rand.New(rand.NewPCG(uint64(seed), 0))
	importLines(t, db, shuffled(shuffle, lines))
	insertCopies(t, db, stories)
	runner := jobs.NewRunner(db, func() time.Time { return date(30, 0) }, slog.Default())
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: cutoff}); err != nil {
		t.Fatalf("run: %v", err)
	}
	compare(t, db, stories, seed, cutoff)
	equalsPlain(t, db, cutoff)

	before := fingerprint(t, db)
	importLines(t, db, shuffled(shuffle, lines))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: cutoff}); err != nil {
		t.Fatalf("run again: %v", err)
	}
	if after := fingerprint(t, db); after != before {
		t.Error("importing and running a second time changed the published tables")
	}
}

func shuffled(r *rand.Rand, lines [][]byte) [][]byte {
	lines = slices.Clone(lines)
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

// byHistory reads the published rows, by table and then by history.
func byHistory(t *testing.T, db *warehouse.DB) map[string]map[string][]string {
	t.Helper()
	got := map[string]map[string][]string{}
	for _, table := range publishedTables {
		got[table] = map[string][]string{}
		for _, row := range readPublished(t, db, table) {
			name, _, _ := strings.Cut(row, "-")
			got[table][name] = append(got[table][name], row)
		}
	}
	return got
}

// compare checks every history by itself and reports the first few that differ.
func compare(t *testing.T, db *warehouse.DB, stories []story, seed int, cutoff time.Time) {
	t.Helper()
	got := byHistory(t, db)
	outcomes := map[string]int{}
	failures := 0
	for i, s := range stories {
		name := fmt.Sprintf("h%d", seed+i)
		want := model(s, cutoff.UnixMilli())
		for _, row := range want["conversion_outcomes"] {
			outcomes[strings.Split(row, " | ")[7]]++
		}
		for _, table := range publishedTables {
			if d := diff(want[table], got[table][name]); d != "" {
				t.Errorf("history %s, %s:\n%s\nimport:\n%s", name, table, d, bytes.Join(s.lines(t), []byte("\n")))
				failures++
			}
		}
		if failures > 3 {
			t.FailNow()
		}
	}
	t.Logf("outcomes compared: %v", outcomes)
	for _, outcome := range []string{"attributed", "duplicate", "event_not_defined", "identity_too_late", "no_identity", "no_view_before", "retracted", "session_expired"} {
		if outcomes[outcome] == 0 && len(stories) >= 100 {
			t.Errorf("no history has the outcome %s: the generator is too narrow", outcome)
		}
	}
}

// drawStory draws a history whose moments crowd around the boundaries of the rules.
func drawStory(t *rapid.T) story {
	var s story
	for a := range rapid.IntRange(1, 2).Draw(t, "accounts") {
		s = drawAccount(t, s, fmt.Sprintf("a%d", a))
	}
	return s
}

func pick(t *rapid.T, label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(t, label)
}

// moment draws a time between 20 and 27 September, often on or beside a boundary.
func moment(t *rapid.T) int64 {
	base := date(20, 0).UnixMilli()
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return base + rapid.Int64Range(0, 7*dayMS).Draw(t, "anywhere")
	case 1: // beside a midnight
		return base + rapid.Int64Range(0, 7).Draw(t, "day")*dayMS + rapid.Int64Range(-1, 1).Draw(t, "beside")
	default: // on a grid of half hours, so that gaps of exactly 30 min and 24 h are common
		return base + 2*dayMS + rapid.Int64Range(0, 60).Draw(t, "half hours")*30*minuteMS + rapid.Int64Range(-1, 1).Draw(t, "beside")
	}
}

// receipt draws when something that happened at that time was received.
func receipt(t *rapid.T, happened int64) int64 {
	switch rapid.IntRange(0, 4).Draw(t, "late") {
	case 0:
		return happened + rapid.Int64Range(0, 6*dayMS).Draw(t, "late by")
	case 1:
		return happened - rapid.Int64Range(0, 5000).Draw(t, "early by")
	case 2:
		return moment(t)
	default:
		return happened + rapid.Int64Range(0, 1000).Draw(t, "delay")
	}
}

func drawAccount(t *rapid.T, s story, customer string) story {
	for range rapid.IntRange(3, 8).Draw(t, "names") {
		s.names = putNameIfFree(s.names, drawName(t, customer))
	}
	for range rapid.IntRange(0, 4).Draw(t, "rules") {
		s.rules = putRuleIfFree(s.rules, drawRule(t, customer))
	}
	for range rapid.IntRange(5, 30).Draw(t, "events") {
		s.clientEvents = append(s.clientEvents, drawClientEvent(t, customer, moment(t)))
	}
	if rapid.IntRange(0, 5).Draw(t, "marathon") == 0 {
		s.clientEvents = append(s.clientEvents, drawMarathon(t, customer)...)
	}
	for range rapid.IntRange(0, 12).Draw(t, "conversions") {
		s.conversions = append(s.conversions, drawConversion(t, customer, s.clientEvents))
	}
	for range rapid.IntRange(0, 8).Draw(t, "adjustments") {
		s.adjustments = append(s.adjustments, drawAdjustment(t, customer))
	}
	return s
}

func drawName(t *rapid.T, customer string) catalog.EventName {
	n := catalog.EventName{
		CustomerID: customer, EventID: pick(t, "event", "e1", "e2", "e3"), APIName: pick(t, "name", "bought", "bought", "Bought", "approved"),
		From: date(10, 0),
	}
	if rapid.IntRange(0, 2).Draw(t, "begins late") == 0 {
		n.From = time.UnixMilli(moment(t)).UTC()
	}
	if rapid.IntRange(0, 2).Draw(t, "ends") == 0 {
		to := time.UnixMilli(max(moment(t), n.From.UnixMilli())).UTC()
		n.To = &to
	}
	return n
}

// putNameIfFree keeps the invariant that a name belongs to at most one event at a
// moment (R3).
func putNameIfFree(names []catalog.EventName, n catalog.EventName) []catalog.EventName {
	const forever = int64(1) << 60
	end := func(n catalog.EventName) int64 {
		if n.To == nil {
			return forever
		}
		return n.To.UnixMilli()
	}
	for _, o := range names {
		same := o.CustomerID == n.CustomerID && o.APIName == n.APIName
		if same && o.From.UnixMilli() < end(n) && n.From.UnixMilli() < end(o) || same && o.EventID == n.EventID && o.From.Equal(n.From) {
			return names
		}
	}
	return append(names, n)
}

func drawRule(t *rapid.T, customer string) catalog.EventRule {
	r := catalog.EventRule{
		CustomerID: customer, EventID: pick(t, "event", "e1", "e2", "e3"), From: date(5, 0),
		Rule: catalog.Rule{WindowDays: rapid.SampledFrom([]uint16{0, 1, 1, 2, 3, 7, 30}).Draw(t, "window"), Credit: pick(t, "credit", "last", "first")},
	}
	if rapid.IntRange(0, 2).Draw(t, "begins late") == 0 {
		r.From = time.UnixMilli(moment(t)).UTC()
	}
	if rapid.IntRange(0, 2).Draw(t, "ends") == 0 {
		to := r.From.Add(time.Duration(rapid.Int64Range(1, 9*dayMS).Draw(t, "length")) * time.Millisecond)
		r.To = &to
	}
	return r
}

// putRuleIfFree keeps an event at one rule at a moment (R3).
func putRuleIfFree(rules []catalog.EventRule, r catalog.EventRule) []catalog.EventRule {
	ends := func(r catalog.EventRule) time.Time {
		if r.To == nil {
			return date(31, 0).AddDate(10, 0, 0)
		}
		return *r.To
	}
	for _, o := range rules {
		if o.CustomerID == r.CustomerID && o.EventID == r.EventID && o.From.Before(ends(r)) && r.From.Before(ends(o)) {
			return rules
		}
	}
	return append(rules, r)
}

func drawClientEvent(t *rapid.T, customer string, happened int64) warehouse.ClientEvent {
	e := warehouse.ClientEvent{
		CustomerID: customer, VisitorID: pick(t, "visitor", "v1", "v1", "v2", "v3"), Type: pick(t, "type", "view", "view", "identify", "activity"),
		OccurredAtMS: happened, ReceivedAtMS: receipt(t, happened),
	}
	switch e.Type {
	case "view":
		e.OptimizationID, e.VariationID = pick(t, "optimization", "hero", "price"), pick(t, "variation", "a", "b", "c")
		e.Attributes = warehouse.Attributes(pick(t, "attributes", "", `{"device":"desktop"}`, `{"device":"mobile","plan":"pro"}`))
	case "identify":
		e.UserDomain, e.UserID = pick(t, "domain", "crm", "app"), pick(t, "user", "u1", "u2")
	}
	return e
}

// drawMarathon draws a visitor that is active for days without a gap (R1).
func drawMarathon(t *rapid.T, customer string) []warehouse.ClientEvent {
	var events []warehouse.ClientEvent
	happened := moment(t)
	gap := rapid.SampledFrom([]int64{30*minuteMS - 1, 29 * minuteMS, 24 * minuteMS, 20 * minuteMS}).Draw(t, "gap")
	for range rapid.IntRange(50, 160).Draw(t, "length") {
		e := drawClientEvent(t, customer, happened)
		e.VisitorID = "v1"
		e.ReceivedAtMS = e.OccurredAtMS + 100
		events = append(events, e)
		happened += gap
	}
	return events
}

// drawConversion draws one that often happens beside a client event of the account,
// or when its session ends.
func drawConversion(t *rapid.T, customer string, events []warehouse.ClientEvent) warehouse.Conversion {
	happened := moment(t)
	if len(events) > 0 && rapid.IntRange(0, 3).Draw(t, "near an event") > 0 {
		near := rapid.SampledFrom(events).Draw(t, "event").OccurredAtMS
		happened = near + rapid.SampledFrom([]int64{0, 1, -1, 60_000, 30*minuteMS - 1, 30 * minuteMS, 24 * hourMS, 24*hourMS - 1, 24*hourMS + 1, 2 * dayMS, 2*dayMS + 1, 2*dayMS - 1, 3 * dayMS, 3*dayMS + 1, 7 * dayMS, 7*dayMS + 1}).Draw(t, "after")
	}
	c := warehouse.Conversion{
		CustomerID: customer, APIName: pick(t, "name", "bought", "bought", "Bought", "approved"), UserDomain: pick(t, "domain", "crm", "app"),
		UserID: pick(t, "user", "u1", "u1", "u2"), ActionID: pick(t, "action", "1", "2", "3", "4", "5", "6"), ActionAtMS: happened, ReceivedAtMS: receipt(t, happened),
	}
	for _, e := range events { // mostly a user who is known
		if e.Type == "identify" && rapid.IntRange(0, 2).Draw(t, "is this user") == 0 {
			c.UserDomain, c.UserID = e.UserDomain, e.UserID
		}
	}
	if rapid.Bool().Draw(t, "has a value") {
		c.Value = decimal.NewNullDecimal(decimal.New(rapid.Int64Range(0, 2_000_000).Draw(t, "value"), -4))
	}
	return c
}

// drawAdjustment draws one of some conversion, or of none, often at the same moment as another.
func drawAdjustment(t *rapid.T, customer string) warehouse.Adjustment {
	adjusted := moment(t)
	if rapid.Bool().Draw(t, "at a usual moment") {
		adjusted = date(23, 0).UnixMilli() + rapid.Int64Range(0, 1).Draw(t, "beside")
	}
	a := warehouse.Adjustment{
		CustomerID: customer, APIName: pick(t, "name", "bought", "bought", "Bought", "approved"), ActionID: pick(t, "action", "1", "2", "3", "4", "5", "6"),
		Kind: pick(t, "kind", warehouse.Restate, warehouse.Restate, warehouse.Retract), AdjustedAtMS: adjusted, ReceivedAtMS: receipt(t, adjusted),
	}
	if a.Kind == warehouse.Restate {
		a.Value = decimal.NewNullDecimal(decimal.New(rapid.Int64Range(0, 2_000_000).Draw(t, "value"), -4))
	}
	return a
}

// inAccountsOf puts a history into accounts that no other history has.
func (s story) inAccountsOf(name string) story {
	for i := range s.clientEvents {
		s.clientEvents[i].CustomerID = name + "-" + s.clientEvents[i].CustomerID
	}
	for i := range s.conversions {
		s.conversions[i].CustomerID = name + "-" + s.conversions[i].CustomerID
	}
	for i := range s.adjustments {
		s.adjustments[i].CustomerID = name + "-" + s.adjustments[i].CustomerID
	}
	for i := range s.names {
		s.names[i].CustomerID = name + "-" + s.names[i].CustomerID
	}
	for i := range s.rules {
		s.rules[i].CustomerID = name + "-" + s.rules[i].CustomerID
	}
	return s
}

// lines writes the history in the import format.
func (s story) lines(t testing.TB) [][]byte {
	var lines [][]byte
	add := func(fields map[string]any) {
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, text)
	}
	for _, n := range s.names {
		fields := map[string]any{"type": "event", "customerId": n.CustomerID, "eventId": n.EventID, "apiName": n.APIName, "from": n.From.UnixMilli(), "to": nil}
		if n.To != nil {
			fields["to"] = n.To.UnixMilli()
		}
		add(fields)
	}
	for _, r := range s.rules {
		fields := map[string]any{"type": "rule", "customerId": r.CustomerID, "eventId": r.EventID, "window": r.Window(), "credit": r.Credit, "from": r.From.UnixMilli(), "to": nil}
		if r.To != nil {
			fields["to"] = r.To.UnixMilli()
		}
		add(fields)
	}
	for _, e := range s.clientEvents {
		fields := map[string]any{"type": e.Type, "customerId": e.CustomerID, "visitorId": e.VisitorID, "occurredAt": e.OccurredAtMS, "receivedAt": e.ReceivedAtMS}
		switch e.Type {
		case "view":
			fields["optimizationId"], fields["variationId"] = e.OptimizationID, e.VariationID
			if e.Attributes != "" {
				fields["attributes"] = json.RawMessage(e.Attributes)
			}
		case "identify":
			fields["userDomain"], fields["userId"] = e.UserDomain, e.UserID
		}
		add(fields)
	}
	for _, c := range s.conversions {
		fields := map[string]any{"type": "conversion", "customerId": c.CustomerID, "apiName": c.APIName, "userDomain": c.UserDomain, "userId": c.UserID,
			"actionId": c.ActionID, "actionTimestamp": c.ActionAtMS, "receivedAt": c.ReceivedAtMS}
		if c.Value.Valid {
			fields["value"] = json.RawMessage(c.Value.Decimal.String())
		}
		add(fields)
	}
	for _, a := range s.adjustments {
		fields := map[string]any{"type": "adjustment", "customerId": a.CustomerID, "apiName": a.APIName, "actionId": a.ActionID, "adjustment": a.Kind,
			"adjustedAt": a.AdjustedAtMS, "receivedAt": a.ReceivedAtMS}
		if a.Value.Valid {
			fields["value"] = json.RawMessage(a.Value.Decimal.String())
		}
		add(fields)
	}
	return lines
}

func importLines(t testing.TB, db *warehouse.DB, lines [][]byte) {
	t.Helper()
	importer := &history.Importer{
		Into: db, Catalog: catalog.NewStore(db, time.Now),
		Reject: func(where string, reason error) { t.Fatalf("%s: %v", where, reason) },
	}
	if err := importer.Read(t.Context(), "test", bytes.NewReader(bytes.Join(lines, []byte("\n")))); err != nil {
		t.Fatalf("import: %v", err)
	}
	if _, err := importer.Finish(t.Context()); err != nil {
		t.Fatalf("import: %v", err)
	}
}

// insertCopies writes some rows a second time under the same ingest_id: client events received later, with
// other content, and some at another moment, which makes them events of their own (R5); conversions as they are.
// It notes them in the stories, along with the ids that the import gave.
func insertCopies(t testing.TB, db *warehouse.DB, stories []story) {
	t.Helper()
	var eventCopies []warehouse.ClientEvent
	var conversionCopies []warehouse.Conversion
	for k := range stories {
		s := &stories[k]
		s.takeImportedIDs(t)
		for i, e := range s.clientEvents {
			if i%7 == 3 {
				e.ReceivedAtMS += int64(i%2) * 1000
				switch i % 3 {
				case 0:
					e.OccurredAtMS += 45 * minuteMS
				case 1:
					e.Type, e.OptimizationID, e.VariationID, e.UserDomain, e.UserID, e.Attributes = "activity", "", "", "", "", ""
				case 2:
					e.Type, e.OptimizationID, e.VariationID, e.UserDomain, e.UserID = "view", "hero", "d", "", ""
				}
				eventCopies = append(eventCopies, e)
				s.clientEvents = append(s.clientEvents, e)
			}
		}
		for i, c := range s.conversions {
			if i%5 == 2 {
				conversionCopies = append(conversionCopies, c)
				s.conversions = append(s.conversions, c)
			}
		}
	}
	if err := db.InsertClientEvents(t.Context(), "", eventCopies); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertConversions(t.Context(), "", conversionCopies); err != nil {
		t.Fatal(err)
	}
}

// takeImportedIDs asks the importer which ids it derives for the rows.
func (s *story) takeImportedIDs(t testing.TB) {
	t.Helper()
	var ids idCatcher
	importer := &history.Importer{Into: &ids, Reject: func(where string, reason error) { t.Fatalf("%s: %v", where, reason) }}
	if err := importer.Read(t.Context(), "ids", bytes.NewReader(bytes.Join(s.lines(t), []byte("\n")))); err != nil {
		t.Fatal(err)
	}
	if err := importer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range s.clientEvents {
		s.clientEvents[i].IngestID = ids.clientEvents[i]
	}
	for i := range s.conversions {
		s.conversions[i].IngestID = ids.conversions[i]
	}
	for i := range s.adjustments {
		s.adjustments[i].IngestID = ids.adjustments[i]
	}
}

// idCatcher takes rows in the place of ClickHouse, for their ids.
type idCatcher struct{ clientEvents, conversions, adjustments []uuid.UUID }

func (c *idCatcher) InsertClientEvents(_ context.Context, _ string, rows []warehouse.ClientEvent) error {
	for _, row := range rows {
		c.clientEvents = append(c.clientEvents, row.IngestID)
	}
	return nil
}

func (c *idCatcher) InsertConversions(_ context.Context, _ string, rows []warehouse.Conversion) error {
	for _, row := range rows {
		c.conversions = append(c.conversions, row.IngestID)
	}
	return nil
}

func (c *idCatcher) InsertAdjustments(_ context.Context, _ string, rows []warehouse.Adjustment) error {
	for _, row := range rows {
		c.adjustments = append(c.adjustments, row.IngestID)
	}
	return nil
}
