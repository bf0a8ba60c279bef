package reports_test

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

// A decision is published; then late conversions come for the baseline, and those of the other arm are taken back. What was published stays
// known, the run that contradicts it says so, and the page can say why.
func TestADecisionThatIsTurnedAround(t *testing.T) {
	s := newSite(t)
	s.configure(t, configureHero)
	const visitors, ofA, ofB, late, takenBack = 600, 30, 120, 14, 85
	var events []warehouse.ClientEvent
	var conversions, lateOnes []warehouse.Conversion
	var adjustments []warehouse.Adjustment
	for i := range visitors {
		for _, arm := range []string{"a", "b"} {
			name := fmt.Sprint(arm, i)
			at := firstDay.Add(time.Duration(i%2) * day)
			events = append(events, view(name, arm, at), identify(name, name, at))
			c := conversion("g1", name, name, at.Add(time.Minute), decimal.NewNullDecimal(decimal.NewFromInt(10)))
			switch {
			case arm == "a" && i < ofA, arm == "b" && i < ofB:
				conversions = append(conversions, c)
			case arm == "a" && i < ofA+late:
				c.ReceivedAtMS = firstDay.Add(4 * day).UnixMilli()
				lateOnes = append(lateOnes, c)
			}
			if arm == "b" && i < takenBack {
				adjusted := firstDay.Add(4 * day).UnixMilli()
				adjustments = append(adjustments, warehouse.Adjustment{
					CustomerID: "c1", APIName: c.APIName, ActionID: c.ActionID, Kind: warehouse.Retract, AdjustedAtMS: adjusted, ReceivedAtMS: adjusted, IngestID: uuid.New(),
				})
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.db.InsertClientEvents(t.Context(), "", events))
	must(s.db.InsertConversions(t.Context(), "", conversions))
	runner := jobs.NewRunner(s.db, time.Now, slog.New(slog.DiscardHandler))
	run := func(cutoff time.Time) {
		t.Helper()
		_, err := runner.Run(t.Context(), jobs.Request{Cutoff: cutoff})
		must(err)
	}
	run(firstDay.Add(3 * day))
	before := s.asked(t, reports.Asked{})
	if got := before.Goals[0].Experiment.Verdict; !strings.HasPrefix(got, "better: +300 % (") {
		t.Fatalf("the verdict is %q", got)
	}
	decided := time.Now()
	must(s.db.InsertConversions(t.Context(), "", lateOnes))
	must(s.db.InsertAdjustments(t.Context(), "", adjustments))
	run(firstDay.Add(5 * day))
	if got := s.asked(t, reports.Asked{}).Goals[0].Experiment.Verdict; !strings.HasPrefix(got, "no difference seen yet") {
		t.Errorf("the verdict is %q", got)
	}
	var turned uint64
	must(s.db.Row(t.Context(), "select countIf(turned_around = 1) from results_history where event_id = 'g1' and variation_id = 'b'", nil, &turned))
	if turned != 1 {
		t.Errorf("%d rows are marked as turned around", turned)
	}
	if past := s.asked(t, reports.Asked{KnownAt: decided}); goalNamed(past, "g1").Experiment.Verdict != before.Goals[0].Experiment.Verdict {
		t.Errorf("what was known then is %+v", past)
	}
	snap, err := s.store.Load(t.Context())
	must(err)
	cutoff, version, err := jobs.Published(t.Context(), s.db)
	must(err)
	series, err := experiment.Cumulative(t.Context(), s.db, snap, experiment.Question{CustomerID: "c1", OptimizationID: "o1", Cutoff: cutoff, Version: version})
	must(err)
	revisions, err := reports.Revisions(t.Context(), s.db, "c1", "o1", series)
	must(err)
	if len(revisions) != 1 {
		t.Fatalf("%d figures were revised: %+v", len(revisions), revisions)
	}
	r := revisions[0]
	if !r.IsTurnedAround || r.Variation != "New" || math.Abs(r.Then.Lift-3) > 1e-9 || r.Because != "14 late conversions and 85 retractions" || r.RunID == "" {
		t.Errorf("the revision is %+v, from %+v to %+v", r, r.Then, r.Now)
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
