package reports_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

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
		"v5": {"salesforce", "72349876"}, "v6": {"crm", "Jose\u0301"}, "v7": {"crm", "9.87654E+11"}, "v8": {"crm", "S16u0"},
	} {
		events = append(events, event(visitor, "view", seen), event(visitor, "identify", seen, user[0], user[1]))
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
		says               []string // in reason and hints
	}
	cases := []sent{
		{"cut", "crm", "seconds", noon, "", "no_view_before", []string{"came 650 milliseconds after the conversion", "cut to whole seconds"}},
		{"cut and old", "crm", "old", noon, "", "session_expired", []string{"came 650 milliseconds after the conversion", "before it, the last view", "cut to whole seconds"}},
		{"in local time", "crm", "hours", seen.Add(10*time.Minute - 5*hour), "", "no_view_before", []string{"came 4 hours and 50 minutes after", "5 hours later it would have happened in the session", "local time"}},
		{"two hours late", "crm", "late", seen.Add(2*hour + 29*time.Minute), "", "session_expired", []string{"119 minutes before", "expired at", "before the conversion"}},
		{"case and a space", "email", "ann@example.com", seen.Add(time.Millisecond), "", "no_identity", []string{`("email", "Ann@Example.com ")`, "case, spaces around it"}},
		{"leading zeros", "crm", "123", seen.Add(time.Millisecond), "", "no_identity", []string{`("crm", "00123")`, "leading zeros"}},
		{"a spreadsheet", "crm", "1.23457E+17", seen.Add(time.Millisecond), "", "no_identity", []string{`"123456789012345678"`, "a spreadsheet"}},
		{"a spreadsheet before", "crm", "987654321012", seen.Add(time.Millisecond), "", "no_identity", []string{`"9.87654E+11"`, "a spreadsheet"}},
		{"a domain in another case", "salesforce", "X4", seen.Add(time.Millisecond), "", "no_identity", []string{`("Salesforce", "X4")`, "the domain differs in case"}},
		{"a space behind", "salesforce", "72349876 ", seen.Add(time.Millisecond), "", "no_identity", []string{`("salesforce", "72349876 ")`, "the id differs in the spaces around it"}},
		{"another domain", "crm", "72349876", seen.Add(time.Millisecond), "", "no_identity", []string{`("salesforce", "72349876")`, "the domain is another one"}},
		{"another Unicode form", "crm", "Jos\u00e9", seen.Add(time.Millisecond), "", "no_identity", []string{"Unicode form"}},
		{"a control character", "crm", "x\x07", seen.Add(time.Millisecond), "", "no_identity", []string{`"x\a"`, "the control character U+0007"}},
		{"nobody", "crm", "nobody", seen.Add(time.Millisecond), "", "no_identity", []string{`no browser has called setUserId with ("crm", "nobody")`}},
		{"another name", "crm", "seconds", seen.Add(time.Millisecond), "Application-Accepted", "event_not_defined", []string{`the name "application-accepted"`, "byte for byte"}},
		{"4006381333931", "crm", "S16u0", seen.Add(time.Millisecond), "", "attributed", []string{"name 3 users", `("crm", "S16u1")`}},
	}
	for i := range 2 { // copies of the last one that name others
		cases = append(cases, sent{"4006381333931", "crm", fmt.Sprint("S16u", i+1), seen.Add(time.Millisecond), "", "duplicate", []string{"name 3 users"}})
	}
	var rows []warehouse.Conversion
	for i := range cases {
		c := &cases[i]
		if c.name == "" {
			c.name = "application-accepted"
		}
		rows = append(rows, warehouse.Conversion{
			CustomerID: "c1", APIName: c.name, UserDomain: c.domain, UserID: c.id, ActionID: c.action,
			ActionAtMS: c.at.UnixMilli(), ReceivedAtMS: seen.Add(5 * hour).UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
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
