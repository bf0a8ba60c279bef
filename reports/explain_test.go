package reports_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// TestWhyNot asks why conversions were not attributed that nearly were.
func TestWhyNot(t *testing.T) {
	db := warehousetest.Open(t)
	noon := time.Date(2026, 9, 21, 12, 0, 4, 0, time.UTC)
	err := catalog.NewStore(db, time.Now).Change(t.Context(), "test", func(e *catalog.Edit) error {
		_, err := e.AddEvent("c1", "application-accepted", "e1", noon.AddDate(0, -1, 0))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	event := func(visitor, kind string, at time.Time, fields ...string) warehouse.ClientEvent {
		e := warehouse.ClientEvent{CustomerID: "c1", VisitorID: visitor, Type: kind, OccurredAtMS: at.UnixMilli(), ReceivedAtMS: at.UnixMilli(), IngestID: uuid.Must(uuid.NewV7())}
		switch kind {
		case "view":
			e.OptimizationID, e.VariationID = "hero", "b"
		case "identify":
			e.UserDomain, e.UserID = fields[0], fields[1]
		}
		return e
	}
	seen := noon.Add(650 * time.Millisecond)
	var events []warehouse.ClientEvent
	for visitor, user := range map[string][2]string{
		"seconds": {"crm", "seconds"}, "old": {"crm", "old"}, "hours": {"crm", "hours"}, "late": {"crm", "late"},
		"v1": {"email", "Ann@Example.com "}, "v2": {"crm", "00123"}, "v3": {"crm", "123456789012345678"}, "v4": {"Salesforce", "X4"},
		"v9": {"crm", "00777"}, "v10": {"crm", "Dd"}, "v11": {"crm", "n\u00a0b"}, "v12": {"crm", "+49 170 123"}, "v13": {"crm", "000"}, "v5": {"salesforce", "72349876"}, "v6": {"crm", "Jose\u0301"}, "v7": {"crm", "9.87654E+11"}, "v8": {"crm", "S16u0"},
	} {
		events = append(events, event(visitor, "view", seen), event(visitor, "identify", seen, user[0], user[1]))
	}
	for visitor, id := range map[string]string{"w1": "777", "w2": "dd"} { // linked, and without a view
		events = append(events, event(visitor, "identify", seen.Add(-time.Minute), "crm", id))
	}
	old := noon.Add(-47*time.Hour - 30*time.Minute)
	events = append(events, event("old", "view", old), event("old", "identify", old, "crm", "old"))
	if err := db.InsertClientEvents(t.Context(), "", events); err != nil {
		t.Fatal(err)
	}
	const hour = time.Hour
	type sent struct {
		action, domain, id string
		at                 time.Time
		name               string
		outcome            string
		says               []string      // in reason and hints
		after              time.Duration // its receipt; 5 hours after noon where it is 0
	}
	const none = -1
	cases := []sent{
		{"cut", "crm", "seconds", noon, "", "no_view_before", []string{"came 650 milliseconds after the conversion", "cut to whole seconds"}, 0},
		{"cut and old", "crm", "old", noon, "", "session_expired", []string{"came 650 milliseconds after the conversion", "before it, the last view", "cut to whole seconds"}, 0},
		{"in local time", "crm", "hours", seen.Add(10*time.Minute - 5*hour), "", "no_view_before", []string{"came 4 hours and 50 minutes after", "5 hours later it would have happened in the session", "local time"}, 0},
		{"two hours late", "crm", "late", seen.Add(2*hour + 29*time.Minute), "", "session_expired", []string{"119 minutes before", "expired at", "before the conversion"}, 0},
		{"case and a space", "email", "ann@example.com", seen.Add(time.Millisecond), "", "no_identity", []string{`("email", "Ann@Example.com ")`, "the id differs in the spaces around it and case"}, 0},
		{"leading zeros", "crm", "123", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "00123")`, "leading zeros"}, 0},
		{"a spreadsheet", "crm", "1.23457E+17", seen.Add(time.Millisecond), "", "no_identity", []string{`"123456789012345678"`, "a spreadsheet"}, 0},
		{"a spreadsheet before", "crm", "987654321012", seen.Add(time.Millisecond), "", "no_identity", []string{`"9.87654E+11"`, "a spreadsheet"}, 0},
		{"a domain in another case", "salesforce", "X4", seen.Add(time.Millisecond), "", "no_identity", []string{`("Salesforce", "X4")`, "the domain differs in case"}, 0},
		{"a space behind", "salesforce", "72349876 ", seen.Add(time.Millisecond), "", "no_identity", []string{`("salesforce", "72349876 ")`, "the id differs in the spaces around it"}, 0},
		{"another domain", "crm", "72349876", seen.Add(time.Millisecond), "", "no_identity", []string{`("salesforce", "72349876")`, "the domain is another one"}, 0},
		{"another Unicode form", "crm", "Jos\u00e9", seen.Add(time.Millisecond), "", "no_identity", []string{"Unicode form"}, 0},
		{"a control character", "crm", "x\x07", seen.Add(time.Millisecond), "", "no_identity", []string{`"x\a"`, "the control character U+0007"}, 0},
		{"nobody", "crm", "nobody", seen.Add(time.Millisecond), "", "no_identity", []string{`no browser has called setUserId with ("crm", "nobody")`}, 0},
		{"another name", "crm", "seconds", seen.Add(time.Millisecond), "Application-Accepted", "event_not_defined", []string{`the name "application-accepted"`, "byte for byte"}, 0},
		{"cut, without receivedAt", "crm", "seconds", noon, "", "no_view_before", []string{"650 milliseconds after", "cut to whole seconds, and a view came 650 milliseconds later"}, none},
		{"in local time, without receivedAt", "crm", "hours", seen.Add(10*time.Minute - 5*hour), "", "identity_too_late", []string{"5 hours later it would have happened"}, none},
		{"right after a view, in hours", "crm", "late", seen.Add(14*hour + time.Minute), "", "session_expired", []string{"14 hours earlier it would have happened"}, 15 * hour},
		{"in India", "crm", "late", seen.Add(5*hour + 31*time.Minute), "", "session_expired", []string{"5 hours and 30 minutes earlier"}, 15 * hour},
		{"after its receipt", "crm", "late", seen.Add(6*hour + 20*time.Minute), "", "session_expired", []string{"it happened after it was received, and 6 hours earlier"}, 0},
		{"at the view", "crm", "seconds", seen, "", "no_view_before", []string{"came at the moment of the conversion, and must come before it"}, 0},
		{"a known user without zeros", "crm", "777", seen.Add(time.Millisecond), "", "no_view_before", []string{`("crm", "00777"): the id differs in leading zeros`}, 0},
		{"a known user in another case", "crm", "dd", seen.Add(time.Millisecond), "", "no_view_before", []string{`("crm", "Dd"): the id differs in case`}, 0},
		{"a space that does not break", "crm", "n b", seen.Add(time.Millisecond), "", "no_identity", []string{"the id differs in spaces or characters of no width in it"}, 0},
		{"no width", "crm", "\ufeffseconds", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "seconds"): the id differs in spaces or characters of no width`}, 0},
		{"a telephone", "crm", "+49170123", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "+49 170 123")`}, 0},
		{"wide letters", "crm", "ｓｅｃｏｎｄｓ", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "seconds"): the id differs in Unicode form`}, 0},
		{"zeros", "crm", "0", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "000"): the id differs in leading zeros`}, 0},
		{"a German spreadsheet", "crm", "1,23457E+17", seen.Add(time.Millisecond), "", "no_identity", []string{`"123456789012345678"`, "a spreadsheet"}, 0},
		{"4006381333931", "crm", "S16u0", seen.Add(time.Millisecond), "", "attributed", []string{"name 3 users", `("crm", "S16u1")`}, 0},
	}
	for i := range 2 { // copies of the last one that name others
		cases = append(cases, sent{"4006381333931", "crm", fmt.Sprint("S16u", i+1), seen.Add(time.Millisecond), "", "duplicate", []string{"name 3 users"}, 0})
	}
	var rows []warehouse.Conversion
	for i := range cases {
		c := &cases[i]
		if c.name == "" {
			c.name = "application-accepted"
		}
		receivedAt := seen.Add(c.after)
		switch c.after {
		case 0:
			receivedAt = seen.Add(5 * hour)
		case none:
			receivedAt = c.at
		}
		rows = append(rows, warehouse.Conversion{
			CustomerID: "c1", APIName: c.name, UserDomain: c.domain, UserID: c.id, ActionID: c.action,
			ActionAtMS: c.at.UnixMilli(), ReceivedAtMS: receivedAt.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
		})
	}
	if err := db.InsertConversions(t.Context(), "", rows); err != nil {
		t.Fatal(err)
	}
	now := noon.AddDate(0, 0, 2)
	runner := jobs.NewRunner(db, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(t.Context(), jobs.Request{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		e, err := reports.Explain(t.Context(), db, "c1", c.name, c.action, now)
		if err != nil {
			t.Fatalf("%s: %v", c.action, err)
		}
		found := false
		for _, copied := range e.Copies {
			if copied.UserID != c.id {
				continue
			}
			found = true
			text := strings.Join(append(copied.Hints, copied.Reason), "\n")
			if copied.Outcome != c.outcome {
				t.Errorf("%s: %s, expected %s", c.action, copied.Outcome, c.outcome)
			}
			for _, says := range c.says {
				if !strings.Contains(text, says) {
					t.Errorf("%s: nothing says %q:\n%s", c.action, says, text)
				}
			}
			if c.action == "nobody" && len(copied.Hints) > 0 {
				t.Errorf("%s: %q", c.action, copied.Hints)
			}
		}
		if !found {
			t.Errorf("%s: no copy of %s", c.action, c.id)
		}
	}
	e, err := reports.Explain(t.Context(), db, "c1", "application-accepted", "cut and old", now)
	if err != nil {
		t.Fatal(err)
	}
	if near := e.Copies[0].Facts.NearestView; near == nil || near.Side != "after" || near.MissedByMS != 651 || near.ViewedAt != seen.UnixMilli() {
		t.Errorf("nearest view: %+v", near)
	}
}

// TestRuleAndHistory: which rule was in force, what it makes of the views, and what adjustments did in which run.
func TestRuleAndHistory(t *testing.T) {
	db := warehousetest.Open(t)
	noon := time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)
	now := noon.AddDate(0, 0, 3)
	setRule := func(window string, from time.Time) {
		t.Helper()
		err := catalog.NewStore(db, func() time.Time { return now }).Change(t.Context(), "test", func(e *catalog.Edit) error {
			rule, err := catalog.ParseRule(window, "first")
			if err != nil {
				return err
			}
			return e.SetRule("c1", "e1", rule, from)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := catalog.NewStore(db, func() time.Time { return now }).Change(t.Context(), "test", func(e *catalog.Edit) error {
		_, err := e.AddEvent("c1", "deal-won", "e1", noon.AddDate(0, -1, 0))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	setRule("3d", noon.AddDate(0, 0, -2))
	ms := func(at time.Time) int64 { return at.UnixMilli() }
	id := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	seen := noon.AddDate(0, 0, -4)
	events := []warehouse.ClientEvent{
		{CustomerID: "c1", VisitorID: "v1", Type: "view", OptimizationID: "hero", VariationID: "b", OccurredAtMS: ms(seen), ReceivedAtMS: ms(seen), IngestID: id()},
		{CustomerID: "c1", VisitorID: "v1", Type: "identify", UserDomain: "crm", UserID: "u1", OccurredAtMS: ms(seen), ReceivedAtMS: ms(seen), IngestID: id()},
	}
	if err := db.InsertClientEvents(t.Context(), "", events); err != nil {
		t.Fatal(err)
	}
	var rows []warehouse.Conversion
	for action, at := range map[string]time.Time{"before the rule": noon.AddDate(0, 0, -3), "inside": noon.AddDate(0, 0, -1).Add(-time.Hour), "outside": noon} {
		rows = append(rows, warehouse.Conversion{CustomerID: "c1", APIName: "deal-won", UserDomain: "crm", UserID: "u1", ActionID: action,
			Value: decimal.NewNullDecimal(decimal.New(100, 0)), ActionAtMS: ms(at), ReceivedAtMS: ms(noon), IngestID: id()})
	}
	if err := db.InsertConversions(t.Context(), "", rows); err != nil {
		t.Fatal(err)
	}
	runner := jobs.NewRunner(db, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: noon.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	adjust := func(kind string, value int64, adjusted, received time.Time) {
		t.Helper()
		a := warehouse.Adjustment{CustomerID: "c1", APIName: "deal-won", ActionID: "inside", Kind: kind, AdjustedAtMS: ms(adjusted), ReceivedAtMS: ms(received), IngestID: id()}
		if kind == warehouse.Restate {
			a.Value = decimal.NewNullDecimal(decimal.New(value, 0))
		}
		if err := db.InsertAdjustments(t.Context(), "", []warehouse.Adjustment{a}); err != nil {
			t.Fatal(err)
		}
	}
	adjust(warehouse.Restate, 80, noon, noon.Add(2*time.Hour))
	adjust(warehouse.Retract, 0, noon.Add(time.Hour), noon.Add(3*time.Hour))
	adjust(warehouse.Restate, 1, noon.Add(-time.Hour), noon.Add(4*time.Hour))
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: noon.Add(5 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	adjust(warehouse.Restate, 90, noon.Add(2*time.Hour), noon.Add(6*time.Hour))
	explain := func(action string) *reports.Explanation {
		t.Helper()
		e, err := reports.Explain(t.Context(), db, "c1", "deal-won", action, now)
		if err != nil || len(e.Copies) != 1 {
			t.Fatalf("%s: %+v (%v)", action, e, err)
		}
		return e
	}
	var changes []string
	history := explain("inside").History
	for _, item := range history {
		changes = append(changes, item.Kind+": "+item.Change)
	}
	want := "received: counts | restate: value 100 -> value 80 | retract: value 80 -> retracted | " +
		"restate: none: an adjustment that is meant to hold later counts | restate: retracted -> value 90"
	if got := strings.Join(changes, " | "); got != want {
		t.Errorf("history %s", got)
	}
	if len(history) == 5 && (*history[0].RunCutoff != ms(noon.Add(time.Hour)) || *history[1].RunCutoff != ms(noon.Add(5*time.Hour)) || !history[4].IsPending || history[3].IsPending) {
		t.Errorf("runs of the history: %+v", history)
	}
	for action, says := range map[string][]string{
		"before the rule": {"session", "session_expired", "expired at"},
		"inside":          {"3d", "retracted", "taken it back"},
		"outside":         {"3d", "no_view_before", "was seen more than 3 days before the conversion, by 24 hours"},
	} {
		c := explain(action).Copies[0]
		if c.Rule == nil || c.Rule.Window != says[0] || c.Outcome != says[1] || !strings.Contains(c.Reason, says[2]) {
			t.Errorf("%s: rule %+v, %s: %s", action, c.Rule, c.Outcome, c.Reason)
		}
	}
	setRule("30d", noon.AddDate(0, 0, -10))
	if c := explain("outside").Copies[0]; c.Rule.Window != "3d" || !strings.Contains(c.Reason, "by now the credit goes to the first view of the 30 days before") {
		t.Errorf("%+v: %s", c.Rule, c.Reason)
	}
	if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: noon.Add(7 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	c := explain("inside").Copies[0]
	if c.Outcome != "attributed" || !strings.Contains(c.Reason, "in the 30 days before it; the first view") || c.Attributions[0].SessionStartedAt != nil {
		t.Errorf("%s: %s, %+v", c.Outcome, c.Reason, c.Attributions)
	}
	journey, err := reports.ConversionJourney(t.Context(), db, "c1", c, now)
	if err != nil || len(journey.Visitors) != 1 || len(journey.Visitors[0].Events) != 2 || c.WindowFrom() != c.ActionTimestamp-30*24*3600*1000 {
		t.Errorf("journey %+v (%v)", journey, err)
	}
	e, err := reports.Explain(t.Context(), db, "c1", "deal-won", "nothing", now)
	if err != nil || len(e.Copies) > 0 {
		t.Errorf("%+v (%v)", e, err)
	}
	if err := db.InsertAdjustments(t.Context(), "", []warehouse.Adjustment{{CustomerID: "c1", APIName: "deal-won", ActionID: "nothing", Kind: warehouse.Retract, AdjustedAtMS: ms(noon), ReceivedAtMS: ms(noon), IngestID: id()}}); err != nil {
		t.Fatal(err)
	}
	flags, err := reports.AccountFlags(t.Context(), db, "c1", now)
	if err != nil || len(flags.WaitingAdjustments) != 1 || flags.WaitingAdjustments[0].Conversions != 1 || flags.WaitingAdjustments[0].LastActionID != "nothing" {
		t.Errorf("%+v (%v)", flags, err)
	}
}
