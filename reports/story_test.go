package reports_test

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

// decision is a site on which variation b does four times as well as a: 600 visitors entered each of them, half of them on each of the first two days, at midnight or at four.
type decision struct {
	*site
	customerID  string
	runner      *jobs.Runner
	lateOnes    []warehouse.Conversion // for a
	adjustments []warehouse.Adjustment // of b's
}

const lateOnes, takenBack = 14, 85

func newDecision(t *testing.T) *decision {
	t.Helper()
	return newSite(t).decision(t, "c1")
}

// decision adds one to a site, which has a run for several accounts at once.
func (s *site) decision(t *testing.T, customerID string) *decision {
	t.Helper()
	d := &decision{site: s, customerID: customerID}
	d.runner = jobs.NewRunner(d.db, time.Now, slog.New(slog.DiscardHandler))
	d.configure(t, func(e *catalog.Edit) error {
		for _, event := range []string{"g1", "g2"} {
			name := catalog.EventName{CustomerID: customerID, EventID: event, APIName: "name-of-" + event, From: firstDay.Add(-30 * day)}
			if !e.HasName(name) {
				if err := e.PutName(name); err != nil {
					return err
				}
			}
		}
		variations := []catalog.Variation{{VariationID: "a", Name: "Base", Weight: 1, IsBaseline: true}, {VariationID: "b", Name: "New", Weight: 1}}
		err := e.PutOptimization(catalog.Optimization{CustomerID: customerID, OptimizationID: "o1", Name: "Hero"}, variations)
		if err == nil {
			err = e.AddGoal(catalog.Goal{CustomerID: customerID, OptimizationID: "o1", EventID: "g2"})
		}
		if err == nil {
			err = e.AddGoal(catalog.Goal{CustomerID: customerID, OptimizationID: "o1", EventID: "g1", IsPrimary: true})
		}
		return err
	})
	const visitors, ofA, ofB = 600, 30, 120
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for i := range visitors {
		for _, arm := range []string{"a", "b"} {
			name := fmt.Sprint(arm, i)
			at := firstDay.Add(time.Duration(i%2) * day)
			if i >= ofB/2 && i < ofB {
				at = at.Add(4 * time.Hour)
			}
			events = append(events, view(name, arm, at), identify(name, name, at))
			c := conversion("g1", name, name, at.Add(time.Minute), decimal.NewNullDecimal(decimal.NewFromInt(10)))
			switch {
			case arm == "a" && i < ofA, arm == "b" && i < ofB:
				conversions = append(conversions, c)
			case arm == "a" && i < ofA+lateOnes:
				c.ReceivedAtMS = firstDay.Add(4 * day).UnixMilli()
				d.lateOnes = append(d.lateOnes, c)
			}
			if arm == "b" && i < takenBack {
				adjusted := firstDay.Add(4 * day).UnixMilli()
				d.adjustments = append(d.adjustments, warehouse.Adjustment{
					CustomerID: "c1", APIName: c.APIName, ActionID: c.ActionID, Kind: warehouse.Retract, AdjustedAtMS: adjusted, ReceivedAtMS: adjusted, IngestID: uuid.New(),
				})
			}
		}
	}
	d.add(t, events, conversions, nil)
	return d
}

// add inserts what has come for the account.
func (d *decision) add(t *testing.T, events []warehouse.ClientEvent, conversions []warehouse.Conversion, adjustments []warehouse.Adjustment) {
	t.Helper()
	for i := range events {
		events[i].CustomerID = d.customerID
	}
	for i := range conversions {
		conversions[i].CustomerID = d.customerID
	}
	for i := range adjustments {
		adjustments[i].CustomerID = d.customerID
	}
	must(t, d.db.InsertClientEvents(t.Context(), "", events))
	must(t, d.db.InsertConversions(t.Context(), "", conversions))
	must(t, d.db.InsertAdjustments(t.Context(), "", adjustments))
}

// isDecided checks that b is better, as the last run left it.
func (d *decision) isDecided(t *testing.T) {
	t.Helper()
	snap, err := d.store.Load(t.Context())
	must(t, err)
	results, err := reports.OptimizationResults(t.Context(), d.db, snap, d.customerID, "o1", reports.Asked{})
	must(t, err)
	if got := results.Goals[0].Experiment.Verdict; !strings.HasPrefix(got, "better: ") {
		t.Fatalf("the verdict is %q", got)
	}
}

// isUnchanged checks that nothing is marked as turned around, or revised.
func (d *decision) isUnchanged(t *testing.T) {
	t.Helper()
	if turned := d.turned(t); turned != 0 {
		t.Errorf("%s: %d rows are marked as turned around", d.customerID, turned)
	}
	if revisions := d.revisions(t); len(revisions) != 0 {
		t.Errorf("%s: %d figures were revised: %+v", d.customerID, len(revisions), revisions)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *decision) run(t *testing.T, cutoff time.Time) {
	t.Helper()
	_, err := d.runner.Run(t.Context(), jobs.Request{Cutoff: cutoff})
	must(t, err)
}

// turned counts the rows of the history that are marked.
func (d *decision) turned(t *testing.T) (rows uint64) {
	t.Helper()
	must(t, d.db.Row(t.Context(), "select countIf(turned_around = 1) from results_history where customer_id = {customer_id:String}",
		warehouse.Params{"customer_id": d.customerID}, &rows))
	return rows
}

func (d *decision) revisions(t *testing.T) []reports.Revision {
	t.Helper()
	snap, err := d.store.Load(t.Context())
	must(t, err)
	cutoff, version, err := jobs.Published(t.Context(), d.db)
	must(t, err)
	series, err := experiment.Cumulative(t.Context(), d.db, snap, experiment.Question{CustomerID: d.customerID, OptimizationID: "o1", Cutoff: cutoff, Version: version})
	must(t, err)
	revisions, err := reports.Revisions(t.Context(), d.db, d.customerID, "o1", series, cutoff)
	must(t, err)
	return revisions
}

// A decision is published; then late conversions come for the baseline, and those of the other arm are taken back. What was published stays
// known, the run that contradicts it says so, and the page can say why.
func TestADecisionThatIsTurnedAround(t *testing.T) {
	d := newDecision(t)
	d.run(t, firstDay.Add(3*day))
	before := d.asked(t, reports.Asked{})
	if got := before.Goals[0].Experiment.Verdict; !strings.HasPrefix(got, "better: +300 % (") {
		t.Fatalf("the verdict is %q", got)
	}
	decided := time.Now()
	must(t, d.db.InsertConversions(t.Context(), "", d.lateOnes))
	must(t, d.db.InsertAdjustments(t.Context(), "", d.adjustments))
	d.run(t, firstDay.Add(5*day))
	if got := d.asked(t, reports.Asked{}).Goals[0].Experiment.Verdict; !strings.HasPrefix(got, "no difference seen yet") {
		t.Errorf("the verdict is %q", got)
	}
	if turned := d.turned(t); turned != 1 {
		t.Errorf("%d rows are marked as turned around", turned)
	}
	if past := d.asked(t, reports.Asked{KnownAt: decided}); goalNamed(past, "g1").Experiment.Verdict != before.Goals[0].Experiment.Verdict {
		t.Errorf("what was known then is %+v", past)
	}
	revisions := d.revisions(t)
	if len(revisions) != 2 || revisions[0].Measure != "rate" || revisions[1].Measure != "value per visitor" {
		t.Fatalf("%d figures were revised: %+v", len(revisions), revisions)
	}
	for _, r := range revisions {
		if !r.IsTurnedAround || r.Variation != "New" || math.Abs(r.Then.Lift-3) > 1e-9 || r.Because != "14 late conversions and 85 retractions" || r.RunID == "" {
			t.Errorf("the revision is %+v, from %+v to %+v", r, r.Then, r.Now)
		}
	}
	// What a run takes away since its cutoff lies before it, and what the next one brings back, is no reason.
	for _, back := range []time.Duration{day / 2, 3 * day} {
		d.run(t, firstDay.Add(back))
		d.run(t, firstDay.Add(5*day))
		if again := d.revisions(t); len(again) != 2 || again[0].Because != revisions[0].Because {
			t.Errorf("after a cutoff that went back to %v: %+v", back, again)
		}
		if turned := d.turned(t); turned != 1 {
			t.Errorf("after a cutoff that went back to %v %d rows are marked as turned around", back, turned)
		}
	}
}

// What has come since is counted for the visitors compared, whatever days and variations it is of, and whatever else has come.
func TestWhyAResultWasRevised(t *testing.T) {
	at := firstDay.Add(4 * day)
	converts := func(i int, arm string, happened time.Duration) warehouse.Conversion {
		name := fmt.Sprint(arm, i)
		c := conversion("g1", name, "late-"+name, firstDay.Add(time.Duration(i%2)*day+happened), decimal.NewNullDecimal(decimal.NewFromInt(10)))
		c.ReceivedAtMS = at.UnixMilli()
		return c
	}
	adjusts := func(kind string, from, to int, value int64, after time.Duration) (list []warehouse.Adjustment) {
		for i := from; i < to; i++ {
			a := warehouse.Adjustment{
				CustomerID: "c1", APIName: "name-of-g1", ActionID: fmt.Sprint("b", i), Kind: kind, AdjustedAtMS: at.Add(after).UnixMilli(), ReceivedAtMS: at.Add(after).UnixMilli(), IngestID: uuid.New(),
			}
			if kind == warehouse.Restate {
				a.Value = decimal.NewNullDecimal(decimal.NewFromInt(value))
			}
			list = append(list, a)
		}
		return list
	}
	type comes struct {
		before      []warehouse.Conversion // which the run before has seen
		conversions []warehouse.Conversion
		adjustments []warehouse.Adjustment
		events      []warehouse.ClientEvent
		edit        func(*catalog.Edit) error
	}
	scenarios := map[string]struct {
		first time.Duration // cutoff of the run before the news
		news  comes
		want  []string // measure: because
	}{
		"late and retracted on one day": {3 * day, comes{conversions: []warehouse.Conversion{converts(200, "b", time.Minute), converts(202, "b", time.Minute)}, adjustments: adjusts(warehouse.Retract, 0, 9, 0, 0)},
			[]string{"rate: 2 late conversions and 9 retractions", "value per visitor: 2 late conversions and 9 retractions"}},
		"of visitors who were not compared": {2 * day, comes{conversions: append(many(14, func(i int) warehouse.Conversion { return converts(200+2*i, "b", time.Minute) }),
			many(30, func(i int) warehouse.Conversion { return converts(61+2*i, "a", 4*time.Hour+time.Minute) })...)},
			[]string{"rate: 14 late conversions", "value per visitor: 14 late conversions"}},
		"too few left": {3 * day, comes{adjustments: adjusts(warehouse.Retract, 0, 118, 0, 0)},
			[]string{"rate: 118 retractions", "value per visitor: 118 retractions"}},
		"restated, and one late": {3 * day, comes{conversions: []warehouse.Conversion{converts(200, "b", time.Minute)}, adjustments: adjusts(warehouse.Restate, 0, 20, 500, 0)},
			[]string{"rate: 1 late conversion", "value per visitor: 1 late conversion and 20 restated values"}},
		"other entries": {3 * day, comes{events: many(90, func(i int) warehouse.ClientEvent {
			e := view(fmt.Sprint("b", i), "a", firstDay.Add(-time.Minute))
			e.ReceivedAtMS = at.UnixMilli()
			return e
		})}, []string{"rate: 90 visitors whose entry changed", "value per visitor: 90 visitors whose entry changed"}},
		"a rule for the past": {3 * day, comes{edit: func(e *catalog.Edit) error {
			return e.SetRule("a rule for the past", "g1", catalog.Rule{WindowDays: 1, Credit: catalog.CreditFirst}, firstDay.Add(-20*day))
		}, before: many(100, func(i int) warehouse.Conversion {
			c := converts(200+2*i, "b", 5*time.Hour) // after the session
			c.ReceivedAtMS = c.ActionAtMS
			return c
		})}, []string{"rate: attribution rules", "value per visitor: attribution rules"}},
	}
	for _, first := range []time.Duration{2 * day, 3 * day} {
		t.Run(first.String(), func(t *testing.T) {
			s := newSite(t)
			accounts := map[string]*decision{}
			for name, c := range scenarios {
				if c.first == first {
					accounts[name] = s.decision(t, name)
					accounts[name].add(t, nil, c.news.before, nil)
				}
			}
			runner := &decision{site: s, runner: jobs.NewRunner(s.db, time.Now, slog.New(slog.DiscardHandler))}
			runner.run(t, firstDay.Add(first))
			for name, d := range accounts {
				news := scenarios[name].news
				d.add(t, news.events, news.conversions, news.adjustments)
				if news.edit != nil {
					d.configure(t, news.edit)
				}
			}
			runner.run(t, firstDay.Add(5*day))
			for name, d := range accounts {
				d.isRevised(t, scenarios[name].want)
			}
		})
	}
}

// isRevised checks the measures that were revised, and why.
func (d *decision) isRevised(t *testing.T, want []string) {
	t.Helper()
	var got []string
	for _, r := range d.revisions(t) {
		got = append(got, r.Measure+": "+r.Because)
		if r.RunID == "" || r.Text() == "" {
			t.Errorf("%s: %+v", d.customerID, r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: the reasons are\n%s\nexpected\n%s", d.customerID, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func many[T any](n int, make func(i int) T) (list []T) {
	for i := range n {
		list = append(list, make(i))
	}
	return list
}

// Nothing late has come, so nothing was revised and no decision turned around: wherever the cutoff goes.
func TestNothingIsRevisedByACutoff(t *testing.T) {
	d := newDecision(t)
	for _, cutoff := range []time.Duration{3 * day, 2*day + 8*time.Hour, 5 * day, day + day/2, day / 2, 3 * day, 6 * day} {
		d.run(t, firstDay.Add(cutoff))
		d.isUnchanged(t)
	}
}

// Nor do other settings revise anything.
func TestNothingIsRevisedBySettings(t *testing.T) {
	s := newSite(t)
	var list []*decision
	changes := map[string]func(*catalog.Edit, string) error{
		"another baseline": func(e *catalog.Edit, id string) error {
			return e.PutOptimization(catalog.Optimization{CustomerID: id, OptimizationID: "o1", Name: "Hero"},
				[]catalog.Variation{{VariationID: "a", Name: "Old", Weight: 1}, {VariationID: "b", Name: "New", Weight: 1, IsBaseline: true}})
		},
		"more planned visitors": func(e *catalog.Edit, id string) error {
			return e.PutOptimization(catalog.Optimization{CustomerID: id, OptimizationID: "o1", Name: "Hero", PlannedVisitors: 1_000_000_000}, e.VariationsOf(id, "o1"))
		},
		"a longer window": func(e *catalog.Edit, id string) error {
			return e.SetRule(id, "g1", catalog.Rule{WindowDays: 30, Credit: catalog.CreditLast}, firstDay.Add(2*day))
		},
		"goals removed": func(e *catalog.Edit, id string) error { return e.RemoveGoal(id, "o1", "g1") },
	}
	for id := range changes {
		list = append(list, s.decision(t, id))
	}
	list[0].run(t, firstDay.Add(3*day))
	for _, d := range list {
		d.isDecided(t)
		d.configure(t, func(e *catalog.Edit) error { return changes[d.customerID](e, d.customerID) })
		d.isUnchanged(t)
	}
	list[0].run(t, firstDay.Add(5*day))
	for _, d := range list {
		d.isUnchanged(t)
	}
}

// Goals that are removed were known once, and are not from the next run on.
func TestRemovedGoalsWereKnown(t *testing.T) {
	d := newDecision(t)
	known := func(at time.Time) (goals []string) {
		t.Helper()
		for _, g := range d.asked(t, reports.Asked{KnownAt: at}).Goals {
			goals = append(goals, g.EventID)
		}
		return goals
	}
	d.run(t, firstDay.Add(3*day))
	both := time.Now()
	for _, eventID := range []string{"g2", "g1"} {
		d.configure(t, func(e *catalog.Edit) error { return e.RemoveGoal("c1", "o1", eventID) })
	}
	d.run(t, firstDay.Add(4*day))
	none := time.Now()
	if got := known(none); len(got) != 0 {
		t.Errorf("without goals %q are known", got)
	}
	d.configure(t, func(e *catalog.Edit) error {
		return e.AddGoal(catalog.Goal{CustomerID: "c1", OptimizationID: "o1", EventID: "g2"})
	})
	d.run(t, firstDay.Add(5*day))
	for _, want := range []struct {
		at    time.Time
		goals string
	}{{both, "[g1 g2]"}, {none, "[]"}, {time.Now(), "[g2]"}} {
		if got := fmt.Sprint(known(want.at)); got != want.goals {
			t.Errorf("the goals known at %v are %s, expected %s", want.at, got, want.goals)
		}
	}
	must(t, d.db.InsertAdjustments(t.Context(), "", d.adjustments))
	d.configure(t, func(e *catalog.Edit) error {
		return e.AddGoal(catalog.Goal{CustomerID: "c1", OptimizationID: "o1", EventID: "g1"})
	})
	d.run(t, firstDay.Add(6*day))
	if turned := d.turned(t); turned != 1 {
		t.Errorf("%d rows are marked as turned around by what came while there was no goal", turned)
	}
	var rows uint64
	must(t, d.db.Row(t.Context(), "select count() from results_history where event_id = ''", nil, &rows))
	if rows != 0 {
		t.Errorf("the history has %d rows without an event", rows)
	}
}

func goalNamed(r *reports.Results, eventID string) reports.GoalResults {
	for _, g := range r.Goals {
		if g.EventID == eventID {
			return g
		}
	}
	return reports.GoalResults{}
}
