package reports_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
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

func TestMain(m *testing.M) { warehousetest.Main(m) }

const day = 24 * time.Hour

var firstDay = time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC)

// site is an account with an optimization o1 of the variations a, the baseline, and b,
// and the goals g1, primary, and g2.
type site struct {
	db    *warehouse.DB
	store *catalog.Store
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{db: warehousetest.Open(t)}
	s.store = catalog.NewStore(s.db, time.Now)
	err := s.store.Change(t.Context(), "test", func(e *catalog.Edit) error {
		for _, event := range []string{"g1", "g2"} {
			if err := e.PutName(catalog.EventName{CustomerID: "c1", EventID: event, APIName: "name-of-" + event, From: firstDay.Add(-30 * day)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) configure(t *testing.T, edit func(*catalog.Edit) error) {
	t.Helper()
	if err := s.store.Change(t.Context(), "test", edit); err != nil {
		t.Fatal(err)
	}
}

// results computes them after a run at a cutoff behind everything.
func (s *site) results(t *testing.T, optimization string, days reports.Days) *reports.Results {
	t.Helper()
	snap, err := s.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	results, err := reports.OptimizationResults(t.Context(), s.db, snap, "c1", optimization, reports.Asked{Days: days})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (s *site) insert(t *testing.T, events []warehouse.ClientEvent, conversions []warehouse.Conversion) {
	t.Helper()
	ctx := t.Context()
	if err := s.db.InsertClientEvents(ctx, "", events); err != nil {
		t.Fatal(err)
	}
	if err := s.db.InsertConversions(ctx, "", conversions); err != nil {
		t.Fatal(err)
	}
	runner := jobs.NewRunner(s.db, time.Now, slog.New(slog.DiscardHandler))
	if _, err := runner.Run(ctx, jobs.Request{Cutoff: firstDay.Add(10 * day)}); err != nil {
		t.Fatal(err)
	}
}

func view(visitor, variation string, at time.Time) warehouse.ClientEvent {
	return warehouse.ClientEvent{
		CustomerID: "c1", VisitorID: visitor, Type: "view", OptimizationID: "o1", VariationID: variation,
		OccurredAtMS: at.UnixMilli(), ReceivedAtMS: at.UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
	}
}

func identify(visitor, user string, at time.Time) warehouse.ClientEvent {
	e := view(visitor, "", at)
	e.Type, e.OptimizationID, e.UserDomain, e.UserID = "identify", "", "crm", user
	return e
}

func conversion(goal, user, action string, at time.Time, value decimal.NullDecimal) warehouse.Conversion {
	return warehouse.Conversion{
		CustomerID: "c1", APIName: "name-of-" + goal, UserDomain: "crm", UserID: user, ActionID: action, Value: value,
		ActionAtMS: at.UnixMilli(), ReceivedAtMS: at.Add(time.Hour).UnixMilli(), IngestID: uuid.Must(uuid.NewV7()),
	}
}

func configureHero(e *catalog.Edit) error {
	err := e.PutOptimization(catalog.Optimization{CustomerID: "c1", OptimizationID: "o1", Name: "Hero"}, []catalog.Variation{
		{CustomerID: "c1", OptimizationID: "o1", VariationID: "a", Name: "Base", Weight: 1, IsBaseline: true},
		{CustomerID: "c1", OptimizationID: "o1", VariationID: "b", Name: "New", Weight: 1, Position: 1},
	})
	if err != nil {
		return err
	}
	if err := e.AddGoal(catalog.Goal{CustomerID: "c1", OptimizationID: "o1", EventID: "g2"}); err != nil {
		return err
	}
	return e.AddGoal(catalog.Goal{CustomerID: "c1", OptimizationID: "o1", EventID: "g1", IsPrimary: true})
}

// attributed is a row of attributions as far as results need it.
type attributed struct {
	Day         time.Time        `ch:"conversion_day"`
	EventID     string           `ch:"event_id"`
	VariationID string           `ch:"variation_id"`
	VisitorID   string           `ch:"visitor_id"`
	UserID      string           `ch:"user_id"`
	Value       *decimal.Decimal `ch:"value"`
}

// The counts of R9 are those of plain loops over the views and the attributions.
func TestResultsAreThoseOfR9(t *testing.T) {
	s := newSite(t)
	s.configure(t, configureHero)
	random := rand.New(rand.NewPCG(7, 7))
	var events []warehouse.ClientEvent
	var conversions []warehouse.Conversion
	for i := range 600 {
		visitor, user := fmt.Sprintf("v%d", i), fmt.Sprintf("u%d", i/2) // two devices a user
		at := firstDay.Add(time.Duration(random.Int64N(int64(4 * day))))
		events = append(events, view(visitor, []string{"a", "b", "b", "c"}[random.IntN(4)], at), identify(visitor, user, at.Add(time.Second)))
		if random.IntN(5) == 0 {
			events = append(events, view(visitor, "a", at.Add(time.Minute)))
		}
		for n := range random.IntN(3) {
			var value decimal.NullDecimal
			if random.IntN(3) > 0 {
				value = decimal.NewNullDecimal(decimal.New(random.Int64N(100_000), -2))
			}
			goal := []string{"g1", "g2"}[random.IntN(2)]
			conversions = append(conversions, conversion(goal, user, fmt.Sprint(i, "-", n), at.Add(time.Duration(random.Int64N(int64(29*time.Minute)))), value))
		}
	}
	s.insert(t, events, conversions)
	var rows []attributed
	err := s.db.Select(t.Context(), &rows, "select conversion_day, event_id, variation_id, visitor_id, user_id, value from attributions where optimization_id = 'o1'", nil)
	if err != nil || len(rows) < 100 {
		t.Fatal(len(rows), err)
	}
	notExposed := uint64(0)
	for from := range 4 {
		for to := from; to < 4; to++ {
			days := reports.Days{From: firstDay.Add(time.Duration(from) * day), To: firstDay.Add(time.Duration(to) * day)}
			got := s.results(t, "o1", days)
			checkShown(t, got, events, days)
			for _, goal := range got.Goals {
				for _, arm := range goal.Arms {
					checkArm(t, goal.EventID, arm, events, rows, days)
					notExposed += arm.ConversionsNotExposed
				}
			}
		}
	}
	if notExposed == 0 {
		t.Error("no conversion just after midnight was drawn")
	}
	s.checkDays(t)
	all := s.results(t, "o1", reports.Days{})
	if all.Goals[0].EventID != "g1" || !all.Goals[0].IsPrimary || all.Goals[0].APIName != "name-of-g1" {
		t.Errorf("the first goal is %+v", all.Goals[0])
	}
}

// checkDays holds results_daily, and with it the trend, against variation_daily.
func (s *site) checkDays(t *testing.T) {
	t.Helper()
	const columns = "select day, variation_id, event_id, visitors, conversions, converters, toString(value) from "
	_, want, err := s.db.Table(t.Context(), columns+"variation_daily where customer_id = 'c1' and optimization_id = 'o1' order by all", nil)
	if err != nil || len(want) < 20 {
		t.Fatal(len(want), err)
	}
	_, got, err := s.db.Table(t.Context(), columns+"results_daily(customer_id = 'c1', optimization_id = 'o1', from_day = '2026-01-01', to_day = '2026-12-31') order by all", nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("results_daily, %v:\n%v\nvariation_daily:\n%v", err, got, want)
	}
	trend, err := reports.Trend(t.Context(), s.db, "c1", "o1", "g1", reports.Days{From: firstDay, To: firstDay.Add(3 * day)})
	if err != nil || len(trend) == 0 {
		t.Fatal(trend, err)
	}
	var conversions uint64
	for _, row := range trend {
		conversions += row.Conversions
	}
	if all := s.results(t, "o1", reports.Days{From: firstDay, To: firstDay.Add(3 * day)}).Goals[0]; all.Arms[0].Conversions+all.Arms[1].Conversions+all.Arms[2].Conversions != conversions {
		t.Errorf("the days of the trend have %d conversions, the range %+v", conversions, all)
	}
}

func within(days reports.Days, at time.Time) bool {
	return !at.Before(days.From) && at.Before(days.To.Add(day))
}

// exposedTo returns who saw what in the days.
func exposedTo(events []warehouse.ClientEvent, days reports.Days) map[string]map[string]bool {
	exposed := map[string]map[string]bool{}
	for _, e := range events {
		if e.Type != "view" || !within(days, time.UnixMilli(e.OccurredAtMS)) {
			continue
		}
		if exposed[e.VisitorID] == nil {
			exposed[e.VisitorID] = map[string]bool{}
		}
		exposed[e.VisitorID][e.VariationID] = true
	}
	return exposed
}

func checkShown(t *testing.T, got *reports.Results, events []warehouse.ClientEvent, days reports.Days) {
	t.Helper()
	several, visitors := uint64(0), map[string]uint64{}
	for _, variations := range exposedTo(events, days) {
		if len(variations) > 1 {
			several++
		}
		for variation := range variations {
			visitors[variation]++
		}
	}
	if *got.VisitorsOfSeveral != several {
		t.Errorf("%s to %s: %d saw several variations, expected %d", got.From, got.To, *got.VisitorsOfSeveral, several)
	}
	var order []string
	for _, v := range got.Variations {
		order = append(order, v.VariationID)
		if *v.Visitors != visitors[v.VariationID] {
			t.Errorf("%s to %s: %d visitors saw %s, expected %d", got.From, got.To, *v.Visitors, v.VariationID, visitors[v.VariationID])
		}
	}
	if strings.Join(order, " ") != "a b c" {
		t.Errorf("variations %v", order)
	}
}

func checkArm(t *testing.T, goal string, arm reports.Arm, events []warehouse.ClientEvent, rows []attributed, days reports.Days) {
	t.Helper()
	exposed := exposedTo(events, days)
	converters, users := map[string]bool{}, map[string]bool{}
	var conversions, notExposed, withValue uint64
	var total, ofExposed decimal.Decimal
	for _, row := range rows {
		if row.EventID != goal || row.VariationID != arm.VariationID || !within(days, row.Day) {
			continue
		}
		conversions++
		users[row.UserID] = true
		value := decimal.Zero
		if row.Value != nil {
			value = *row.Value
			withValue++
		}
		total = total.Add(value)
		if exposed[row.VisitorID][arm.VariationID] {
			converters[row.VisitorID] = true
			ofExposed = ofExposed.Add(value)
		} else {
			notExposed++
		}
	}
	got := fmt.Sprint(arm.Conversions, arm.Converters, arm.ConvertingUsers, arm.ConversionsNotExposed, " ", arm.ValueTotal)
	want := fmt.Sprint(conversions, uint64(len(converters)), uint64(len(users)), notExposed, " ", total)
	if got != want {
		t.Errorf("%s, %s: conversions, converters, users, not exposed, value are %s, expected %s", goal, arm.VariationID, got, want)
	}
	if *arm.Visitors > 0 {
		same(t, "conversion_rate", arm.ConversionRate, float64(len(converters))/float64(*arm.Visitors))
		same(t, "value_per_visitor", arm.ValuePerVisitor, ofExposed.InexactFloat64()/float64(*arm.Visitors))
	}
	if withValue > 0 {
		same(t, "value_per_conversion", arm.ValuePerConversion, total.InexactFloat64()/float64(withValue))
	}
}

func same(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 1e-9*max(1, want) {
		t.Errorf("%s is %v, expected %v", what, got, want)
	}
}

// Where there is too little to say anything, a sentence says so.
func TestResultsOfNothing(t *testing.T) {
	s := newSite(t)
	snap, err := s.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reports.OptimizationResults(context.Background(), s.db, snap, "c1", "o1", reports.Asked{}); err == nil || !strings.Contains(err.Error(), "has no optimization o1") {
		t.Errorf("an unknown optimization gives %v", err)
	}
	s.configure(t, configureHero)
	says(t, s.results(t, "o1", reports.Days{}), "nothing has been published yet")

	events := []warehouse.ClientEvent{view("v1", "a", firstDay.Add(time.Hour)), identify("v1", "u1", firstDay.Add(time.Hour))}
	s.insert(t, events, []warehouse.Conversion{conversion("g1", "u1", "1", firstDay.Add(time.Hour+time.Minute), decimal.NullDecimal{})})
	later := reports.Days{From: firstDay.Add(5 * day), To: firstDay.Add(6 * day)}
	says(t, s.results(t, "o1", later), "nobody saw a variation in this range")

	one := s.results(t, "o1", reports.Days{})
	arms := one.Goals[0].Arms
	if arms[0].Converters != 1 || *arms[0].ConversionRate != 1 || arms[1].ConversionRate != nil || arms[1].Rate != nil {
		t.Errorf("one visitor gives %+v", arms)
	}
	if got := one.Goals[0].Experiment.Verdict; got != "too early: the window is over for 1 of 1 visitors of \"Base\", at least 50 are needed" {
		t.Errorf("the verdict is %q", got)
	}
	s.configure(t, func(e *catalog.Edit) error {
		if err := e.RemoveGoal("c1", "o1", "g1"); err != nil {
			return err
		}
		return e.RemoveGoal("c1", "o1", "g2")
	})
	says(t, s.results(t, "o1", reports.Days{}), "no goal is attached")
}

func says(t *testing.T, r *reports.Results, sentence string) {
	t.Helper()
	if !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, sentence) }) {
		t.Errorf("the notes %q do not say %q", r.Notes, sentence)
	}
}

func TestRangesOfDays(t *testing.T) {
	for _, wrong := range [][2]string{{"2026-09-21", ""}, {"", "2026-09-21"}, {"2026-09-22", "2026-09-21"}, {"yesterday", "2026-09-21"}, {"1999-01-01", "2026-09-21"}} {
		if _, err := reports.ParseDays(wrong[0], wrong[1]); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
