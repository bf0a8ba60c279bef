package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// noted is a row of results_noted: a variation's figures for a goal as a run left them.
type noted struct {
	RunID  string    `ch:"run_id"`
	Cutoff time.Time `ch:"cutoff"`
	figures
	RateLift         *float64 `ch:"rate_lift"`
	RateLow          *float64 `ch:"rate_low"`
	RateHigh         *float64 `ch:"rate_high"`
	RatePValue       *float64 `ch:"rate_p_value"`
	RatePAdjusted    *float64 `ch:"rate_p_adjusted"`
	RateFixedLow     *float64 `ch:"rate_fixed_low"`
	RateFixedHigh    *float64 `ch:"rate_fixed_high"`
	RateFixedPValue  *float64 `ch:"rate_fixed_p_value"`
	RateChance       *float64 `ch:"rate_chance_to_beat"`
	ValueLift        *float64 `ch:"value_lift"`
	ValueLow         *float64 `ch:"value_low"`
	ValueHigh        *float64 `ch:"value_high"`
	ValuePValue      *float64 `ch:"value_p_value"`
	ValuePAdjusted   *float64 `ch:"value_p_adjusted"`
	ValueFixedLow    *float64 `ch:"value_fixed_low"`
	ValueFixedHigh   *float64 `ch:"value_fixed_high"`
	ValueFixedPValue *float64 `ch:"value_fixed_p_value"`
	ValueChance      *float64 `ch:"value_chance_to_beat"`
	Rate             *float64 `ch:"rate"`
	ValuePerVisitor  *float64 `ch:"value_per_visitor"`
	SampleRatio      *float64 `ch:"sample_ratio_p_value"`
	DaysLeft         *uint32  `ch:"days_left"`
	Verdict          string   `ch:"verdict"`
	GoalVerdict      string   `ch:"goal_verdict"`
	Note             string   `ch:"note"`
	TurnedAround     uint8    `ch:"turned_around"`
}

// figures are what everything else of the row follows from, but for the days that are left: where they are the same, nothing has changed.
type figures struct {
	CustomerID      string          `ch:"customer_id"`
	OptimizationID  string          `ch:"optimization_id"`
	EventID         string          `ch:"event_id"`
	Position        uint32          `ch:"position"`
	VariationID     string          `ch:"variation_id"`
	VariationName   string          `ch:"variation_name"`
	IsBaseline      uint8           `ch:"is_baseline"`
	Weight          float64         `ch:"weight"`
	PlannedVisitors uint64          `ch:"planned_visitors"`
	MDEPercent      float64         `ch:"mde_percent"`
	WindowHours     uint32          `ch:"window_hours"`
	Entered         uint64          `ch:"entered"`
	Mature          uint64          `ch:"mature"`
	Converters      uint64          `ch:"converters"`
	ValueTotal      decimal.Decimal `ch:"value_total"`
	ValueSquares    float64         `ch:"value_squares"`
	SawAnother      uint64          `ch:"saw_another"`
}

func (f figures) same(o figures) bool {
	equal := f.ValueTotal.Equal(o.ValueTotal)
	f.ValueTotal, o.ValueTotal = decimal.Decimal{}, decimal.Decimal{}
	return equal && f == o
}

// Note writes down the figures of all optimizations that differ from those noted last, as a run leaves them, and logs decisions
// that are turned around.
func Note(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, runID string, cutoff time.Time, version uint64, log *slog.Logger) error {
	var answers map[[2]string]*Answer
	var past []struct {
		noted
		IsLast   uint8 `ch:"is_last"`
		IsBefore uint8 `ch:"is_before"`
	}
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		answers, err = Load(bothCtx, db, snap, Question{Cutoff: cutoff, Version: version})
		return err
	})
	both.Go(func() error {
		return named("read what was noted", db.Select(bothCtx, &past, sql.Results("noted_last").SQL, warehouse.Params{"cutoff": warehouse.Time(cutoff)}))
	})
	if err := both.Wait(); err != nil {
		return err
	}
	last, before := map[[2]string][]noted{}, map[[2]string][]noted{}
	for _, row := range past {
		of := [2]string{row.CustomerID, row.OptimizationID}
		if row.IsLast == 1 {
			last[of] = append(last[of], row.noted)
		}
		if row.IsBefore == 1 {
			before[of] = append(before[of], row.noted)
		}
	}
	var rows []noted
	for of := range last {
		if answers[of] == nil {
			answers[of] = &Answer{} // it is not configured any more
		}
	}
	for of, a := range answers {
		now := a.noted(runID, cutoff)
		if len(now) == 0 && len(last[of]) > 0 {
			now = []noted{withoutGoals(of, runID, cutoff)}
		}
		if slices.EqualFunc(now, last[of], func(a, b noted) bool { return a.figures.same(b.figures) }) {
			continue
		}
		for i, was := range turnedAround(before[of], now) {
			now[i].TurnedAround = 1
			log.Warn("a decision was turned around", "customer", of[0], "optimization", of[1], "event", now[i].EventID, "variation", now[i].VariationID,
				"before", was.Verdict, "now", now[i].Verdict)
		}
		rows = append(rows, now...)
	}
	const atOnce = 10_000
	for part := range slices.Chunk(rows, atOnce) {
		if err := warehouse.InsertStructs(ctx, db, "results_noted", part); err != nil {
			return err
		}
	}
	return nil
}

// withoutGoals says that nothing is compared in an optimization of which something had been noted. It has no event.
func withoutGoals(of [2]string, runID string, cutoff time.Time) noted {
	return noted{RunID: runID, Cutoff: cutoff, figures: figures{CustomerID: of[0], OptimizationID: of[1]}}
}

// turnedAround returns those rows of now of which the opposite had been decided, or where nothing is decided any more, with what they were.
// Other settings are no news about the visitors. The cutoff of before is not the later one.
func turnedAround(before, now []noted) map[int]*noted {
	turned := map[int]*noted{}
	// Adjusted p values can be compared if the same questions were answered: one goal more makes all of them larger.
	alike := slices.EqualFunc(before, now, func(a, b noted) bool {
		return a.EventID == b.EventID && a.VariationID == b.VariationID && a.IsBaseline == b.IsBaseline && a.WindowHours == b.WindowHours &&
			a.PlannedVisitors == b.PlannedVisitors && (a.RateLift == nil) == (b.RateLift == nil) && (a.ValueLift == nil) == (b.ValueLift == nil)
	})
	for i := range now {
		is := &now[i]
		at := slices.IndexFunc(before, func(was noted) bool { return was.EventID == is.EventID && was.VariationID == is.VariationID })
		if at < 0 {
			continue
		}
		was := &before[at]
		if was.PlannedVisitors != is.PlannedVisitors || was.WindowHours != is.WindowHours || baselineOf(before, is.EventID) != baselineOf(now, is.EventID) {
			continue
		}
		if was.rate().turnsInto(is.rate(), alike) || was.value().turnsInto(is.value(), alike) {
			turned[i] = was
		}
	}
	return turned
}

// baselineOf is the id of a goal's baseline, empty without one.
func baselineOf(rows []noted, eventID string) string {
	for _, row := range rows {
		if row.EventID == eventID && row.IsBaseline == 1 {
			return row.VariationID
		}
	}
	return ""
}

// turnsInto reports whether a decision does not hold any more; alike says whether the adjusted p values can be compared.
func (c *Comparison) turnsInto(now *Comparison, alike bool) bool {
	switch {
	case !c.Decided():
		return false
	case now == nil:
		return true
	case alike:
		return !now.Decided() || now.Better() != c.Better()
	default:
		return now.PValue >= significant || (now.Lift > 0) != c.Better()
	}
}

// noted are the rows of an answer, in the order of noted_last.
func (a *Answer) noted(runID string, cutoff time.Time) (rows []noted) {
	for _, g := range a.Goals {
		for i := range g.Variations {
			rows = append(rows, g.noted(i, runID, cutoff))
		}
	}
	slices.SortStableFunc(rows, func(a, b noted) int {
		return slices.Compare([]string{a.EventID, fmt.Sprintf("%09d", a.Position)}, []string{b.EventID, fmt.Sprintf("%09d", b.Position)})
	})
	return rows
}

func (g *Goal) noted(i int, runID string, cutoff time.Time) noted {
	v := &g.Variations[i]
	row := noted{
		RunID: runID, Cutoff: cutoff,
		figures: figures{
			CustomerID: g.CustomerID, OptimizationID: g.OptimizationID, EventID: g.EventID, Position: uint32(i), VariationID: v.VariationID, VariationName: v.Name,
			Weight: v.Weight, PlannedVisitors: g.PlannedVisitors, MDEPercent: g.MDEPercent, WindowHours: g.WindowHours,
			Entered: v.Entered, Mature: v.Mature, Converters: v.Converters, ValueTotal: decimal.RequireFromString(string(v.ValueTotal)), ValueSquares: v.valueSquares,
			SawAnother: v.SawAnother,
		},
		Rate: v.Rate, ValuePerVisitor: v.ValuePerVisitor, DaysLeft: g.DaysLeft, Verdict: v.Verdict, GoalVerdict: g.Verdict, Note: v.Note,
	}
	if v.IsBaseline {
		row.IsBaseline = 1
	}
	if g.SampleRatio != nil {
		row.SampleRatio = &g.SampleRatio.PValue
	}
	if c := v.RateVsBaseline; c != nil {
		row.RateLift, row.RateLow, row.RateHigh, row.RatePValue, row.RatePAdjusted = &c.Lift, &c.Low, &c.High, &c.PValue, &c.PAdjusted
		row.RateFixedLow, row.RateFixedHigh, row.RateFixedPValue, row.RateChance = &c.FixedLow, &c.FixedHigh, &c.FixedPValue, &c.ChanceToBeat
	}
	if c := v.ValueVsBaseline; c != nil {
		row.ValueLift, row.ValueLow, row.ValueHigh, row.ValuePValue, row.ValuePAdjusted = &c.Lift, &c.Low, &c.High, &c.PValue, &c.PAdjusted
		row.ValueFixedLow, row.ValueFixedHigh, row.ValueFixedPValue, row.ValueChance = &c.FixedLow, &c.FixedHigh, &c.FixedPValue, &c.ChanceToBeat
	}
	return row
}

func (n *noted) rate() *Comparison {
	if n.RateLift == nil {
		return nil
	}
	return &Comparison{*n.RateLift, *n.RateLow, *n.RateHigh, *n.RatePValue, *n.RatePAdjusted, *n.RateFixedLow, *n.RateFixedHigh, *n.RateFixedPValue, *n.RateChance}
}

func (n *noted) value() *Comparison {
	if n.ValueLift == nil {
		return nil
	}
	return &Comparison{*n.ValueLift, *n.ValueLow, *n.ValueHigh, *n.ValuePValue, *n.ValuePAdjusted, *n.ValueFixedLow, *n.ValueFixedHigh, *n.ValueFixedPValue, *n.ValueChance}
}

// Past is what was known of an optimization once a run had finished.
type Past struct {
	RunID   string
	Cutoff  time.Time
	KnownAt time.Time // when the run finished
	Goals   []*Goal   // by event; none if there was no goal any more
}

// Known returns what was known of an optimization at a moment: as the last run that finished by then, and changed it, noted it.
func Known(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, at time.Time) (*Past, error) {
	pasts, err := history(ctx, db, customerID, optimizationID, at, 1)
	if err != nil {
		return nil, err
	}
	if len(pasts) == 0 {
		return nil, refuse.NotFoundf("nothing was known of optimization %s of account %s at %s", optimizationID, customerID, at.UTC().Format(time.RFC3339))
	}
	return pasts[0], nil
}

// History returns what was known of an optimization after each of the last runs that changed it, the newest first.
func History(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, limit int) ([]*Past, error) {
	return history(ctx, db, customerID, optimizationID, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), limit)
}

func history(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, at time.Time, limit int) (pasts []*Past, err error) {
	var rows []struct {
		noted
		KnownAt time.Time `ch:"known_at"`
	}
	params := warehouse.Params{"customer_id": customerID, "optimization_id": optimizationID, "known_at": warehouse.Time(at), "limit": limit}
	if err := db.Select(ctx, &rows, sql.Results("history").SQL, params); err != nil {
		return nil, fmt.Errorf("read what was known: %w", err)
	}
	for i := range rows {
		row := &rows[i]
		if len(pasts) == 0 || pasts[len(pasts)-1].RunID != row.RunID {
			pasts = append(pasts, &Past{RunID: row.RunID, Cutoff: row.Cutoff.UTC(), KnownAt: row.KnownAt.UTC()})
		}
		past := pasts[len(pasts)-1]
		if row.EventID == "" {
			continue // it had no goals
		}
		if len(past.Goals) == 0 || past.Goals[len(past.Goals)-1].EventID != row.EventID {
			past.Goals = append(past.Goals, row.goal())
		}
		goal := past.Goals[len(past.Goals)-1]
		goal.Variations = append(goal.Variations, row.variation())
	}
	for _, past := range pasts {
		for _, goal := range past.Goals {
			goal.checkSplit() // its p value was noted, its chi-squared was not
		}
	}
	return pasts, nil
}

func (n *noted) goal() *Goal {
	g := &Goal{
		CustomerID: n.CustomerID, OptimizationID: n.OptimizationID, EventID: n.EventID, WindowHours: n.WindowHours, DaysLeft: n.DaysLeft,
		Verdict: n.GoalVerdict, PlannedVisitors: n.PlannedVisitors, MDEPercent: n.MDEPercent,
	}
	return g
}

func (n *noted) variation() Variation {
	return Variation{
		VariationID: n.VariationID, Name: n.VariationName, IsBaseline: n.IsBaseline == 1, Weight: n.Weight,
		Entered: n.Entered, Mature: n.Mature, Converters: n.Converters, Rate: n.Rate, ValueTotal: json.Number(n.ValueTotal.String()), ValuePerVisitor: n.ValuePerVisitor,
		SawAnother: n.SawAnother, RateVsBaseline: n.rate(), ValueVsBaseline: n.value(), Verdict: n.Verdict, Note: n.Note, valueSquares: n.ValueSquares,
	}
}
