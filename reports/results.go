package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Results of an optimization: its goals' experiments, of those who entered on the days of a range (R11), and what happened on those
// days (R9). The names in the JSON are those of the tables.
type Results struct {
	CustomerID     string `json:"customer_id"`
	OptimizationID string `json:"optimization_id"`
	Name           string `json:"name"`
	From           string `json:"from"`               // first day, YYYY-MM-DD; empty with To where nothing was seen
	To             string `json:"to"`                 // last day, inclusive
	AsOf           string `json:"as_of"`              // cutoff of the last run, RFC 3339; empty before the first
	KnownAt        string `json:"known_at,omitempty"` // when the run finished that noted it; only of the past, where nothing is said by day
	RunID          string `json:"run_id,omitempty"`   // that run

	Entered         *uint64 `json:"entered"`           // visitors, all variations together; nil of a past without goals
	EnteredThisWeek *uint64 `json:"entered_this_week"` // within the 7 days before as_of; nil of the past
	// VisitorsOfSeveral saw more than one variation in the range; they count in each. It is nil where nothing is said by day.
	VisitorsOfSeveral *uint64 `json:"visitors_of_several_variations"`
	// SampleRatio compares who entered with the weights; nil where there is nothing to check: fewer than two weights, or
	// nobody entered.
	SampleRatio *experiment.SampleRatio `json:"sample_ratio"`
	Variations  []Shown                 `json:"variations"`
	Goals       []GoalResults           `json:"goals"` // the primary one first
	Notes       []string                `json:"notes"` // what a reader should know, in words
}

// Shown is a variation and how many saw it.
type Shown struct {
	VariationID string  `json:"variation_id"`
	Name        string  `json:"name"`
	IsBaseline  bool    `json:"is_baseline"`
	Weight      float64 `json:"weight"`
	Visitors    *uint64 `json:"visitors"` // nil where nothing is said by day
}

// GoalResults are the results for one goal event.
type GoalResults struct {
	EventID   string `json:"event_id"`
	APIName   string `json:"api_name"` // what it is called now, empty if it is archived
	IsPrimary bool   `json:"is_primary"`
	// MDEPercent is the smallest lift worth finding.
	MDEPercent float64 `json:"mde"`
	// Experiment compares the variations (R11).
	Experiment *experiment.Goal `json:"experiment"`
	// Segments are those of the attribute asked for.
	Segments []SegmentResults `json:"segments,omitempty"`
	// Arms describe what happened on the days of the range (R9).
	Arms []Arm `json:"variations"`
}

// SegmentResults compares the variations among those with one text of an attribute.
type SegmentResults struct {
	Text       string           `json:"segment"`
	Experiment *experiment.Goal `json:"experiment"`
}

// Days is a range of UTC days, both inclusive. The zero Days stands for all days on
// which anything of the optimization was seen.
type Days struct{ From, To time.Time }

// ParseDays reads a range of days, YYYY-MM-DD; both empty stand for all days.
func ParseDays(from, to string) (Days, error) {
	if from == "" && to == "" {
		return Days{}, nil
	}
	if from == "" || to == "" {
		return Days{}, refuse.Invalidf("from and to go together")
	}
	var days Days
	for _, bound := range []struct {
		name, text string
		into       *time.Time
	}{{"from", from, &days.From}, {"to", to, &days.To}} {
		day, err := time.Parse(time.DateOnly, bound.text)
		if err != nil || day.Year() < 2000 || day.Year() > 2100 {
			return Days{}, refuse.Invalidf("%s: %q is not a day of the years 2000 to 2100: give YYYY-MM-DD, as 2026-09-21", bound.name, bound.text)
		}
		*bound.into = day
	}
	if days.To.Before(days.From) {
		return Days{}, refuse.Invalidf("the range ends on %s, before it begins on %s", to, from)
	}
	return days, nil
}

type visitorsRow struct {
	VariationID string `ch:"variation_id"`
	Visitors    uint64 `ch:"visitors"`
	OfSeveral   uint64 `ch:"visitors_of_several"`
}

type conversionsRow struct {
	VariationID     string          `ch:"variation_id"`
	EventID         string          `ch:"event_id"`
	Conversions     uint64          `ch:"conversions"`
	Converters      uint64          `ch:"converters"`
	ConvertingUsers uint64          `ch:"converting_users"`
	NotExposed      uint64          `ch:"conversions_not_exposed"`
	WithValue       uint64          `ch:"conversions_with_value"`
	ValueTotal      decimal.Decimal `ch:"value_total"`
	ValueExposed    float64         `ch:"value_exposed"`
	ValueSquares    float64         `ch:"value_squares"`
}

// Asked says which results are wanted. The zero values of its parts mean all of them.
type Asked struct {
	Days                      Days
	Cap                       experiment.Quantile
	SegmentName, SegmentValue string
	By                        string // an attribute
	KnownAt                   time.Time
}

// OptimizationResults computes the results of an optimization as the last run published
// them, or what was known of it at a moment. snap says what is configured.
func OptimizationResults(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, customerID, optimizationID string, asked Asked) (*Results, error) {
	if !asked.KnownAt.IsZero() {
		return pastResults(ctx, db, snap, customerID, optimizationID, asked)
	}
	configured, known := snap.Optimizations[customerID][optimizationID]
	r := &Results{CustomerID: customerID, OptimizationID: optimizationID, Name: configured.Name, Goals: []GoalResults{}, Notes: []string{}}
	var visitors []visitorsRow
	var conversions []conversionsRow
	var active bool
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error { return r.compare(bothCtx, db, snap, asked) })
	both.Go(func() (err error) {
		visitors, conversions, active, err = r.describe(bothCtx, db, asked.Days)
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	if !known && !active {
		return nil, refuse.NotFoundf("account %s has no optimization %s, and no view of one has been published", customerID, optimizationID)
	}
	r.show(snap, visitors, conversions)
	for i := range r.Goals {
		r.Goals[i].Arms = r.arms(r.Goals[i].EventID, conversions)
	}
	r.remark()
	return r, nil
}

// describe counts what happened on the days of a range (R9), by default on all on which anything did; active says whether there is one.
func (r *Results) describe(ctx context.Context, db *warehouse.DB, days Days) (visitors []visitorsRow, conversions []conversionsRow, active bool, err error) {
	params := warehouse.Params{"customer_id": r.CustomerID, "optimization_id": r.OptimizationID}
	var first, last time.Time
	var activeDays uint64
	if err := db.Row(ctx, sql.Results("days").SQL, params, &first, &last, &activeDays); err != nil {
		return nil, nil, false, fmt.Errorf("look for days with results: %w", err)
	}
	active = activeDays > 0
	if days == (Days{}) && active {
		days = Days{first, last}
	}
	if days == (Days{}) {
		return nil, nil, active, nil
	}
	r.From, r.To = warehouse.Day(days.From), warehouse.Day(days.To)
	params = params.With("from_day", r.From).With("to_day", r.To)
	if err := db.Select(ctx, &visitors, sql.Results("visitors").SQL, params); err != nil {
		return nil, nil, active, fmt.Errorf("count visitors: %w", err)
	}
	if err := db.Select(ctx, &conversions, sql.Results("conversions").SQL, params); err != nil {
		return nil, nil, active, fmt.Errorf("count conversions: %w", err)
	}
	return visitors, conversions, active, nil
}

// compare answers as R11 has it.
func (r *Results) compare(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, asked Asked) error {
	cutoff, version, err := jobs.Published(ctx, db)
	if err != nil {
		return err
	}
	if !cutoff.IsZero() {
		r.AsOf = cutoff.Format(time.RFC3339Nano)
	}
	answers, err := experiment.Load(ctx, db, snap, experiment.Question{
		CustomerID: r.CustomerID, OptimizationID: r.OptimizationID, From: asked.Days.From, To: asked.Days.To, Cap: asked.Cap,
		SegmentName: asked.SegmentName, SegmentValue: asked.SegmentValue, By: asked.By, Cutoff: cutoff, Version: version,
	})
	if err != nil {
		return err
	}
	r.take(snap, answers[[2]string{r.CustomerID, r.OptimizationID}])
	return nil
}

// take takes the goals over; nil where nothing is configured and nobody has entered.
func (r *Results) take(snap *catalog.Snapshot, answer *experiment.Answer) {
	r.Entered, r.EnteredThisWeek = new(uint64), new(uint64)
	if answer == nil {
		return
	}
	r.SampleRatio, *r.Entered, *r.EnteredThisWeek = answer.SampleRatio, answer.Entered, answer.ThisWeek
	for i, goal := range snap.GoalsOf(r.CustomerID, r.OptimizationID) {
		g := GoalResults{
			EventID: goal.EventID, APIName: currentName(snap, goal), IsPrimary: goal.IsPrimary, MDEPercent: goal.MDEPercent,
			Experiment: answer.Goals[i], Arms: []Arm{},
		}
		for _, segment := range answer.Segments {
			g.Segments = append(g.Segments, SegmentResults{segment.Text, segment.Goals[i]})
		}
		r.Goals = append(r.Goals, g)
	}
}

func sortByID(list []*Results) {
	slices.SortFunc(list, func(a, b *Results) int { return cmp.Compare(a.OptimizationID, b.OptimizationID) })
}

// show lists the variations configured, in their order, and then those only seen.
func (r *Results) show(snap *catalog.Snapshot, visitors []visitorsRow, conversions []conversionsRow) {
	r.Variations = []Shown{}
	for _, v := range snap.VariationsOf(r.CustomerID, r.OptimizationID) {
		r.Variations = append(r.Variations, Shown{VariationID: v.VariationID, Name: v.Name, IsBaseline: v.IsBaseline, Weight: v.Weight, Visitors: new(uint64)})
	}
	configured := len(r.Variations)
	shown := func(id string) *Shown {
		i := slices.IndexFunc(r.Variations, func(s Shown) bool { return s.VariationID == id })
		if i < 0 {
			i = len(r.Variations)
			r.Variations = append(r.Variations, Shown{VariationID: id, Visitors: new(uint64)})
		}
		return &r.Variations[i]
	}
	r.VisitorsOfSeveral = new(uint64)
	for _, row := range visitors {
		*shown(row.VariationID).Visitors = row.Visitors
		*r.VisitorsOfSeveral = row.OfSeveral
	}
	for _, row := range conversions {
		shown(row.VariationID)
	}
	slices.SortFunc(r.Variations[configured:], func(a, b Shown) int { return cmp.Compare(a.VariationID, b.VariationID) })
}

// arms are the variations' figures for one goal event (R9).
func (r *Results) arms(eventID string, conversions []conversionsRow) []Arm {
	arms := []Arm{}
	for _, shown := range r.Variations {
		arm := Arm{Shown: shown, ValueTotal: "0"}
		i := slices.IndexFunc(conversions, func(row conversionsRow) bool {
			return row.VariationID == shown.VariationID && row.EventID == eventID
		})
		if i >= 0 {
			arm.count(conversions[i])
		}
		arm.divide()
		arms = append(arms, arm)
	}
	return arms
}

func currentName(snap *catalog.Snapshot, goal catalog.Goal) string {
	for _, name := range snap.Names[goal.CustomerID] {
		if name.EventID == goal.EventID && name.To == nil {
			return name.APIName
		}
	}
	return ""
}

// remark says in words what the figures alone don't.
func (r *Results) remark() {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	exposed, baseline := uint64(0), false
	for _, v := range r.Variations {
		exposed += *v.Visitors
		baseline = baseline || v.IsBaseline
	}
	switch {
	case r.AsOf == "":
		note("nothing has been published yet: the run at midnight UTC does, or one by hand")
	case exposed == 0:
		note("nobody saw a variation in this range of days")
	}
	if !baseline {
		note("no variation is the baseline, so nothing is compared: configure the optimization and its variations")
	}
	if len(r.Goals) == 0 {
		note("no goal is attached, so no conversions are shown: attach one, and its past shows at once")
	}
	if r.SampleRatio != nil && r.SampleRatio.Warning {
		note("those who entered are not spread over the variations as the weights say (p = %.2g): find out why before you trust the comparison", r.SampleRatio.PValue)
	}
	if *r.VisitorsOfSeveral > 0 {
		note("%d visitors saw more than one variation in this range; they belong to the one that they saw first", *r.VisitorsOfSeveral)
	}
}
