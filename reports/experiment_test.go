package reports_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/warehouse"
)

// credited is a row of attributions as far as experiments need it.
type credited struct {
	EventID     string           `ch:"event_id"`
	VisitorID   string           `ch:"visitor_id"`
	ConvertedAt time.Time        `ch:"converted_at"`
	Value       *decimal.Decimal `ch:"value"`
}

// someVisits are of 900 visitors over six days, a third of whom see another variation later; moments crowd around those at which a window ends.
func someVisits(random *rand.Rand) (events []warehouse.ClientEvent, conversions []warehouse.Conversion) {
	for i := range 900 {
		visitor, user := fmt.Sprintf("v%d", i), fmt.Sprintf("u%d", i)
		at := firstDay.Add(time.Duration(random.Int64N(int64(6 * day))))
		if random.IntN(3) == 0 {
			at = firstDay.Add(time.Duration(random.IntN(6))*day + time.Duration(random.IntN(3)-1)*time.Millisecond)
		}
		first := view(visitor, []string{"a", "b", "b", "c"}[random.IntN(4)], at)
		first.Attributes = warehouse.Attributes([]string{"", `{"device":"mobile"}`, `{"device":"desktop","plan":"pro"}`}[random.IntN(3)])
		events = append(events, first, identify(visitor, user, at))
		if random.IntN(3) == 0 {
			events = append(events, view(visitor, []string{"a", "b"}[random.IntN(2)], at.Add(time.Duration(random.Int64N(int64(3*day))))))
		}
		for n := range random.IntN(4) {
			var value decimal.NullDecimal
			if random.IntN(3) > 0 {
				value = decimal.NewNullDecimal(decimal.New(random.Int64N(100_000), -2))
			}
			after := time.Duration(1 + random.Int64N(int64(4*day)))
			if random.IntN(3) == 0 {
				after = time.Duration(1+random.IntN(3))*day + time.Duration(random.IntN(3)-1)*time.Millisecond
			}
			conversions = append(conversions, conversion([]string{"g1", "g2"}[random.IntN(2)], user, fmt.Sprint(i, "-", n), at.Add(after), value))
		}
	}
	return events, conversions
}

// The counts of R11 are those of plain loops over the views and the attributions: whatever cutoff, range, cap and segment.
func TestExperimentsAreThoseOfR11(t *testing.T) {
	s := newSite(t)
	s.configure(t, func(e *catalog.Edit) error {
		if err := configureHero(e); err != nil {
			return err
		}
		if err := e.SetRule("c1", "g1", catalog.Rule{WindowDays: 2, Credit: catalog.CreditFirst}, firstDay.Add(-20*day)); err != nil {
			return err
		}
		return e.SetRule("c1", "g1", catalog.Rule{WindowDays: 3, Credit: catalog.CreditLast}, firstDay.Add(5*day)) // from then on
	})
	events, conversions := someVisits(rand.New(rand.NewPCG(11, 11)))
	s.insert(t, events, conversions)
	runner := jobs.NewRunner(s.db, time.Now, slog.New(slog.DiscardHandler))
	compared := 0
	for _, cutoff := range []time.Time{firstDay.Add(4*day + 7*time.Hour + 321*time.Millisecond), firstDay.Add(6 * day), firstDay.Add(20 * day)} {
		if _, err := runner.Run(t.Context(), jobs.Request{Cutoff: cutoff}); err != nil {
			t.Fatal(err)
		}
		var rows []credited
		if err := s.db.Select(t.Context(), &rows, "select event_id, visitor_id, converted_at, value from attributions where optimization_id = 'o1'", nil); err != nil {
			t.Fatal(err)
		}
		for _, asked := range []reports.Asked{
			{}, {Cap: 900_000}, {SegmentName: "device", SegmentValue: "mobile"}, {SegmentName: "device", Cap: 500_000}, {SegmentName: "none", SegmentValue: "x"},
			{Days: reports.Days{From: firstDay.Add(day), To: firstDay.Add(2 * day)}}, {By: "device", Cap: 700_000},
		} {
			got := s.asked(t, asked)
			for _, goal := range got.Goals {
				window := map[string]time.Duration{"g1": 2 * day, "g2": day}[goal.EventID]
				if goal.EventID == "g1" && !cutoff.Before(firstDay.Add(5*day)) {
					window = 3 * day
				}
				compared += checkExperiment(t, fmt.Sprint(cutoff, asked), goal.EventID, goal.Experiment, events, rows, cutoff, window, asked)
				for _, segment := range goal.Segments {
					only := asked
					only.SegmentName, only.SegmentValue = asked.By, segment.Text
					compared += checkExperiment(t, fmt.Sprint(cutoff, only), goal.EventID, segment.Experiment, events, rows, cutoff, window, only)
				}
				if asked.By != "" && len(goal.Segments) != 3 {
					t.Errorf("%v has %d segments", asked, len(goal.Segments))
				}
			}
		}
	}
	if compared < 30 {
		t.Errorf("only %d variations were compared with the baseline", compared)
	}
	s.checkPast(t)
}

func (s *site) asked(t *testing.T, asked reports.Asked) *reports.Results {
	t.Helper()
	snap, err := s.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	results, err := reports.OptimizationResults(t.Context(), s.db, snap, "c1", "o1", asked)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// checkExperiment holds one experiment against plain loops, and returns how many of its variations were compared.
func checkExperiment(t *testing.T, what, eventID string, got *experiment.Goal, events []warehouse.ClientEvent, rows []credited, cutoff time.Time, window time.Duration, asked reports.Asked) (compared int) {
	t.Helper()
	type visitor struct {
		entry     warehouse.ClientEvent
		saw       map[string]bool
		converted bool
		value     decimal.Decimal
	}
	visitors := map[string]*visitor{}
	for _, e := range events {
		if e.Type != "view" || !time.UnixMilli(e.ReceivedAtMS).Before(cutoff) {
			continue
		}
		v := visitors[e.VisitorID]
		if v == nil {
			v = &visitor{entry: e, saw: map[string]bool{}}
			visitors[e.VisitorID] = v
		}
		v.saw[e.VariationID] = true
		if cmp.Or(cmp.Compare(e.OccurredAtMS, v.entry.OccurredAtMS), cmp.Compare(e.ReceivedAtMS, v.entry.ReceivedAtMS), cmp.Compare(e.VariationID, v.entry.VariationID)) < 0 {
			v.entry = e
		}
	}
	type figures struct {
		entered, mature, converters, another uint64
		total                                decimal.Decimal
	}
	want := map[string]*figures{"a": {}, "b": {}, "c": {}}
	var mature []*visitor
	var totals []decimal.Decimal
	for id, v := range visitors {
		at := time.UnixMilli(v.entry.OccurredAtMS)
		if asked.Days != (reports.Days{}) && !within(asked.Days, at) || asked.SegmentName != "" && v.entry.Attributes.Pairs()[asked.SegmentName] != asked.SegmentValue {
			continue
		}
		f := want[v.entry.VariationID]
		f.entered++
		if len(v.saw) > 1 {
			f.another++
		}
		if at.Add(window).After(cutoff) {
			continue
		}
		f.mature++
		for _, row := range rows {
			if row.EventID == eventID && row.VisitorID == id && !row.ConvertedAt.Before(at) && row.ConvertedAt.Before(at.Add(window)) {
				v.converted = true
				if row.Value != nil {
					v.value = v.value.Add(*row.Value)
				}
			}
		}
		if v.converted {
			mature = append(mature, v)
			if !v.value.IsZero() {
				totals = append(totals, v.value)
			}
		}
	}
	slices.SortFunc(totals, decimal.Decimal.Cmp)
	for _, v := range mature {
		f := want[v.entry.VariationID]
		f.converters++
		if rank := (len(totals)*int(asked.Cap) + 999_999) / 1_000_000; asked.Cap > 0 && rank > 0 && v.value.GreaterThan(totals[rank-1]) {
			v.value = totals[rank-1]
		}
		f.total = f.total.Add(v.value)
	}
	if got.WindowHours != uint32(window.Hours()) {
		t.Errorf("%s, %s: the window is %d hours, expected %v", what, eventID, got.WindowHours, window)
	}
	for _, v := range got.Variations {
		f := want[v.VariationID]
		got := fmt.Sprint(v.Entered, v.Mature, v.Converters, v.SawAnother, " ", v.ValueTotal)
		if want := fmt.Sprint(f.entered, f.mature, f.converters, f.another, " ", f.total); got != want {
			t.Errorf("%s, %s, %s: entered, mature, converters, saw another, value are %s, expected %s", what, eventID, v.VariationID, got, want)
		}
		if v.RateVsBaseline != nil {
			compared++
		}
	}
	return compared
}

// checkPast: what the last run noted is what it published, in all figures, and can be asked for by when it was known.
func (s *site) checkPast(t *testing.T) {
	t.Helper()
	now := s.asked(t, reports.Asked{})
	past := s.asked(t, reports.Asked{KnownAt: time.Now().Add(time.Hour)})
	goals := func(r *reports.Results) string {
		var texts []string
		for _, g := range r.Goals {
			text, err := json.Marshal(g.Experiment)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, g.EventID+" "+string(text))
		}
		return strings.Join(texts, "\n")
	}
	if goals(past) != goals(now) || past.AsOf != now.AsOf || *past.Entered != *now.Entered || !reflect.DeepEqual(past.SampleRatio, now.SampleRatio) {
		t.Errorf("noted, %d, %+v as of %s\n%s\nnow, %d, %+v as of %s\n%s",
			*past.Entered, past.SampleRatio, past.AsOf, goals(past), *now.Entered, now.SampleRatio, now.AsOf, goals(now))
	}
	if len(past.Variations) != 3 || past.Variations[1].Name != now.Variations[1].Name || past.Variations[0].Visitors != nil || past.EnteredThisWeek != nil || past.VisitorsOfSeveral != nil {
		t.Errorf("what is not noted is %+v", past)
	}
	var runs []struct {
		FinishedAt time.Time `ch:"finished_at"`
		Cutoff     time.Time `ch:"cutoff"`
	}
	if err := s.db.Select(t.Context(), &runs, "select assumeNotNull(finished_at) as finished_at, cutoff from runs where state = 'done' order by finished_at", nil); err != nil || len(runs) != 4 {
		t.Fatal(runs, err)
	}
	for _, run := range runs {
		if past := s.asked(t, reports.Asked{KnownAt: run.FinishedAt}); past.AsOf != run.Cutoff.UTC().Format(time.RFC3339Nano) {
			t.Errorf("known at %v was %s, the run had the cutoff %v", run.FinishedAt, past.AsOf, run.Cutoff)
		}
	}
	runner := jobs.NewRunner(s.db, time.Now, slog.New(slog.DiscardHandler))
	record, err := runner.Run(t.Context(), jobs.Request{Full: true, Cutoff: firstDay.Add(20 * day)})
	if err != nil {
		t.Fatal(err)
	}
	var noted uint64
	if err := s.db.Row(t.Context(), "select count() from results_history where run_id = {run:String}", warehouse.Params{"run": record.RunID}, &noted); err != nil || noted != 0 {
		t.Errorf("a run that changed nothing noted %d rows, %v", noted, err)
	}
	for _, early := range []string{"2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z"} {
		asked, err := reports.ParseAsked("", "", "", "", "", early, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		snap, err := s.store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reports.OptimizationResults(t.Context(), s.db, snap, "c1", "o1", asked); !errors.Is(err, refuse.NotFound) {
			t.Errorf("known at %s: %v", early, err)
		}
	}
}

func TestWhatCanBeAsked(t *testing.T) {
	for _, wrong := range [][6]string{
		{"", "", "1", "", "", ""}, {"", "", "0", "", "", ""}, {"", "", "0.0000001", "", "", ""}, {"", "", "-0.5", "", "", ""}, {"", "", ".", "", "", ""},
		{"", "", "", "device", "", ""}, {"", "", "", "Device=x", "", ""}, {"", "", "", "device=x", "device", ""}, {"", "", "", "", "De", ""},
		{"", "", "", "", "", "yesterday"}, {"2026-09-01", "2026-09-02", "", "", "", "now"}, {"", "", "0.9", "", "", "now"}, {"", "", "", "", "device", "now"},
	} {
		if asked, err := reports.ParseAsked(wrong[0], wrong[1], wrong[2], wrong[3], wrong[4], wrong[5], time.Now()); err == nil {
			t.Errorf("%q is taken as %+v", wrong, asked)
		}
	}
	asked, err := reports.ParseAsked("", "", "0.95000000", "device=a=b", "", "", time.Now())
	if err != nil || asked.Cap != 950_000 || asked.SegmentName != "device" || asked.SegmentValue != "a=b" {
		t.Errorf("%+v, %v", asked, err)
	}
}

// A cap is the nearest rank among the totals that are not 0: the examples of Wikipedia's article on percentiles, and the one of
// docs/statistics.md. Visitors without a value stay at 0.
func TestCapAsPublished(t *testing.T) {
	for _, published := range []struct {
		values []int64
		capped map[experiment.Quantile]int64
	}{
		{[]int64{5, 120, 135, 140, 145, 150, 155, 160, 170, 950}, map[experiment.Quantile]int64{900_000: 170}},
		{[]int64{15, 20, 35, 40, 50}, map[experiment.Quantile]int64{50_000: 15, 300_000: 20, 400_000: 20, 500_000: 35}},
		{[]int64{3, 6, 7, 8, 8, 10, 13, 15, 16, 20}, map[experiment.Quantile]int64{250_000: 7, 500_000: 8, 750_000: 15}},
	} {
		t.Run(fmt.Sprint(published.values), func(t *testing.T) { checkCap(t, published.values, published.capped) })
	}
}

func checkCap(t *testing.T, values []int64, capped map[experiment.Quantile]int64) {
	s := newSite(t)
	s.configure(t, configureHero)
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for i, value := range append(values, 0, 0, 0) {
		visitor, user := fmt.Sprintf("v%d", i), fmt.Sprintf("u%d", i)
		events = append(events, view(visitor, []string{"a", "b"}[i%2], firstDay), identify(visitor, user, firstDay))
		conversions = append(conversions, conversion("g1", user, fmt.Sprint(i), firstDay.Add(time.Minute), decimal.NewNullDecimal(decimal.NewFromInt(value))))
	}
	s.insert(t, events, conversions)
	for q, most := range capped {
		var want, got decimal.Decimal
		for _, value := range values {
			want = want.Add(decimal.NewFromInt(min(value, most)))
		}
		for _, v := range s.asked(t, reports.Asked{Cap: q}).Goals[0].Experiment.Variations {
			got = got.Add(decimal.RequireFromString(string(v.ValueTotal)))
		}
		if !got.Equal(want) {
			t.Errorf("%v capped at %d: %s in all, expected %s", values, q, got, want)
		}
	}
}
