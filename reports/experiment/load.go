package experiment

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Question says of whom the figures are asked. The zero values of its parts mean everybody.
type Question struct {
	CustomerID, OptimizationID string
	From, To                   time.Time // days of entry, both inclusive
	Cap                        Quantile  // above which visitors' values are set to it
	SegmentName, SegmentValue  string    // only those with that attribute
	By                         string    // an attribute: figures of each of its texts
	byDay                      bool

	Cutoff  time.Time // of the published tables
	Version uint64    // of the run that published them
}

// Quantile is a share in millionths, as 0.95 is 950000; 0 for none.
type Quantile uint32

func (q Question) params() warehouse.Params {
	from, to := q.From, q.To
	if from.IsZero() && to.IsZero() {
		from, to = time.UnixMilli(0), time.Date(2105, 1, 1, 0, 0, 0, 0, time.UTC) // what a Date can hold, with a window's length to spare
	}
	cutoff := q.Cutoff
	if cutoff.IsZero() {
		cutoff = time.UnixMilli(0) // nothing is published
	}
	byDay := 0
	if q.byDay {
		byDay = 1
	}
	return warehouse.Params{
		"customer_id": q.CustomerID, "optimization_id": q.OptimizationID, "from_day": warehouse.Day(from), "to_day": warehouse.Day(to),
		"cap_millionths": uint64(q.Cap), "segment_name": q.SegmentName, "segment_value": q.SegmentValue, "by_attribute": q.By, "by_day": byDay,
		"cutoff": warehouse.Time(cutoff), "version": q.Version,
	}
}

// key names what is counted together.
type key struct{ customerID, optimizationID, segment string }

// counts are what ClickHouse has counted.
type counts struct {
	windows map[[3]string]uint16 // days, by account, optimization and event
	entered map[key][]enteredRow
	did     map[key]map[string][]convertedRow // by event
	lengths []uint16                          // of all windows; the order of enteredRow.Mature
	isRange bool                              // only some days of entry were asked for
}

type enteredRow struct {
	CustomerID     string    `ch:"customer_id"`
	OptimizationID string    `ch:"optimization_id"`
	Segment        string    `ch:"segment"`
	Day            time.Time `ch:"entry_day"`
	VariationID    string    `ch:"variation_id"`
	Entered        uint64    `ch:"entered"`
	SawAnother     uint64    `ch:"saw_another"`
	Lately         uint64    `ch:"entered_lately"`
	ThisWeek       uint64    `ch:"entered_this_week"`
	Mature         []uint64  `ch:"mature"`
}

type convertedRow struct {
	CustomerID     string          `ch:"customer_id"`
	OptimizationID string          `ch:"optimization_id"`
	Segment        string          `ch:"segment"`
	Day            time.Time       `ch:"entry_day"`
	EventID        string          `ch:"event_id"`
	VariationID    string          `ch:"variation_id"`
	Converters     uint64          `ch:"converters"`
	ValueTotal     decimal.Decimal `ch:"value_total"`
	ValueSquares   float64         `ch:"value_squares"`
}

// count asks ClickHouse.
func (q Question) count(ctx context.Context, db *warehouse.DB) (*counts, error) {
	c := &counts{windows: map[[3]string]uint16{}, entered: map[key][]enteredRow{}, did: map[key]map[string][]convertedRow{}, isRange: !q.From.IsZero()}
	params := q.params()
	var windows []struct {
		CustomerID     string `ch:"customer_id"`
		OptimizationID string `ch:"optimization_id"`
		EventID        string `ch:"event_id"`
		Days           uint16 `ch:"window_days"`
	}
	query := sql.Results("windows").SQL
	if err := db.Select(ctx, &windows, query, params.For(query)); err != nil {
		return nil, fmt.Errorf("read the windows of the goals: %w", err)
	}
	customers, optimizations, events, days := []string{}, []string{}, []string{}, []uint16{}
	for _, w := range windows {
		c.windows[[3]string{w.CustomerID, w.OptimizationID, w.EventID}] = w.Days
		customers, optimizations = append(customers, w.CustomerID), append(optimizations, w.OptimizationID)
		events, days = append(events, w.EventID), append(days, w.Days)
	}
	c.lengths = slices.Clone(days)
	slices.Sort(c.lengths)
	c.lengths = slices.Compact(c.lengths)
	params = params.With("windows", c.lengths).
		With("goal_customers", customers).With("goal_optimizations", optimizations).With("goal_events", events).With("goal_days", days)
	var entered []enteredRow
	var did []convertedRow
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		query := sql.Results("entered").SQL
		return named("count who entered", db.Select(ctx, &entered, query, params.For(query)))
	})
	both.Go(func() error {
		query := sql.Results("converted").SQL
		return named("count who converted", db.Select(ctx, &did, query, params.For(query)))
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	for _, row := range entered {
		of := key{row.CustomerID, row.OptimizationID, row.Segment}
		c.entered[of] = append(c.entered[of], row)
	}
	for _, row := range did {
		of := key{row.CustomerID, row.OptimizationID, row.Segment}
		if c.did[of] == nil {
			c.did[of] = map[string][]convertedRow{}
		}
		c.did[of][row.EventID] = append(c.did[of][row.EventID], row)
	}
	return c, nil
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// of sums up the rows of a goal, by variation; days that matches leaves out don't count.
func (c *counts) of(k key, eventID string, matches func(time.Time) bool) map[string]*Variation {
	counted := map[string]*Variation{}
	at := func(id string) *Variation {
		if counted[id] == nil {
			counted[id] = &Variation{VariationID: id, ValueTotal: "0"}
		}
		return counted[id]
	}
	window := slices.Index(c.lengths, c.windows[[3]string{k.customerID, k.optimizationID, eventID}])
	for _, row := range c.entered[k] {
		if !matches(row.Day) {
			continue
		}
		v := at(row.VariationID)
		v.Entered, v.SawAnother, v.enteredLately = v.Entered+row.Entered, v.SawAnother+row.SawAnother, v.enteredLately+row.Lately
		if window >= 0 && window < len(row.Mature) {
			v.Mature += row.Mature[window]
		}
	}
	totals := map[string]decimal.Decimal{}
	for _, row := range c.did[k][eventID] {
		if !matches(row.Day) {
			continue
		}
		v := at(row.VariationID)
		totals[row.VariationID] = totals[row.VariationID].Add(row.ValueTotal)
		v.Converters, v.valueSquares = v.Converters+row.Converters, v.valueSquares+row.ValueSquares
		v.ValueTotal = number(totals[row.VariationID])
	}
	return counted
}

// goal computes the figures of a goal from the counts.
func (c *counts) goal(snap *catalog.Snapshot, goal catalog.Goal, k key, matches func(time.Time) bool) *Goal {
	g := &Goal{
		CustomerID: k.customerID, OptimizationID: k.optimizationID, Segment: k.segment, EventID: goal.EventID,
		WindowHours:     24 * uint32(c.windows[[3]string{k.customerID, k.optimizationID, goal.EventID}]),
		PlannedVisitors: snap.Optimizations[k.customerID][k.optimizationID].PlannedVisitors, MDEPercent: goal.MDEPercent, isRange: c.isRange,
	}
	g.Variations = variationsOf(snap, k.customerID, k.optimizationID, c.of(k, goal.EventID, matches))
	g.compare()
	return g
}

func always(time.Time) bool { return true }

// Answer is what an optimization does.
type Answer struct {
	Goals       []*Goal // the primary one first; without one there is none
	SampleRatio *SampleRatio
	Entered     uint64
	ThisWeek    uint64    // of them within the 7 days before the cutoff
	Segments    []Segment // by the texts of the attribute asked for
}

// Segment has the goals of those with one text of an attribute, in the order of Answer.Goals.
type Segment struct {
	Text  string
	Goals []*Goal
}

// Load answers for all optimizations that are configured or have been entered, by account and optimization. With
// Question.By the answer has the figures of everybody and those of each segment.
func Load(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, q Question) (map[[2]string]*Answer, error) {
	all := q
	all.By = ""
	c, err := all.count(ctx, db)
	if err != nil {
		return nil, err
	}
	answers := map[[2]string]*Answer{}
	for _, k := range c.keys(snap, q) {
		answers[[2]string{k.customerID, k.optimizationID}] = c.answer(snap, k)
	}
	if q.By != "" {
		parts, err := q.count(ctx, db)
		if err != nil {
			return nil, err
		}
		for _, k := range slices.SortedFunc(maps.Keys(parts.entered), compareKeys) {
			if a := answers[[2]string{k.customerID, k.optimizationID}]; a != nil {
				a.Segments = append(a.Segments, Segment{k.segment, parts.answer(snap, k).Goals})
			}
		}
	}
	for _, a := range answers {
		together := slices.Clone(a.Goals)
		for _, segment := range a.Segments {
			together = append(together, segment.Goals...)
		}
		adjust(together)
		for _, g := range together {
			g.judge()
		}
	}
	return answers, nil
}

// keys are the optimizations to answer for.
func (c *counts) keys(snap *catalog.Snapshot, q Question) (list []key) {
	known := map[key]bool{}
	for k := range c.entered {
		known[k] = true
	}
	for customerID, optimizations := range snap.Optimizations {
		for id := range optimizations {
			if (q.CustomerID == "" || q.CustomerID == customerID) && (q.OptimizationID == "" || q.OptimizationID == id) {
				known[key{customerID, id, ""}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(known), compareKeys)
}

func (c *counts) answer(snap *catalog.Snapshot, k key) *Answer {
	a := &Answer{}
	entered := &Goal{Variations: variationsOf(snap, k.customerID, k.optimizationID, c.of(k, "", always))}
	entered.compare()
	a.SampleRatio = entered.SampleRatio
	for _, row := range c.entered[k] {
		a.Entered, a.ThisWeek = a.Entered+row.Entered, a.ThisWeek+row.ThisWeek
	}
	for _, goal := range snap.GoalsOf(k.customerID, k.optimizationID) {
		a.Goals = append(a.Goals, c.goal(snap, goal, k, always))
	}
	return a
}

func compareKeys(a, b key) int {
	return slices.Compare([]string{a.customerID, a.optimizationID, a.segment}, []string{b.customerID, b.optimizationID, b.segment})
}
