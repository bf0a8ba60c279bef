package reports

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports/experiment"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Revision says that a figure published once is another one now, for the same visitors.
type Revision struct {
	EventID        string
	VariationID    string
	Variation      string // its name now
	Measure        string // what is compared: rate, or value per visitor
	KnownAt        string // the day on which it was published
	Then           *experiment.Comparison
	Now            *experiment.Comparison // nil where there is too little left to compare
	Because        string                 // in words
	RunID          string                 // the last run that changed figures of the optimization
	IsTurnedAround bool                   // what had been decided then is not any more, or the opposite is

	past     *experiment.Past
	window   uint32 // hours
	baseline string
	visitors uint64 // of the variation and its baseline that have come, or gone
}

// leastRevision is by how much a lift must differ to be shown.
const leastRevision = 0.005

// Revisions compares what was noted of an optimization after earlier runs with what is known of the same visitors now: of each goal,
// variation and measure the figure that differs most. days are those of experiment.Cumulative, of a published cutoff.
func Revisions(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, days map[string][]experiment.Day, cutoff time.Time) (revisions []Revision, err error) {
	const looked = 100 // runs
	pasts, err := experiment.History(ctx, db, customerID, optimizationID, looked)
	if err != nil {
		return nil, err
	}
	largest := map[[3]string]Revision{}
	for _, past := range pasts {
		if past.Cutoff.After(cutoff) || !past.Cutoff.Equal(past.Cutoff.Truncate(24*time.Hour)) {
			continue // those visitors are not all known now, or not counted apart from others
		}
		for _, then := range past.Goals {
			now := asOf(days[then.EventID], past.Cutoff, then)
			if now == nil {
				continue
			}
			for _, r := range revise(then, now) {
				of := [3]string{r.EventID, r.VariationID, r.Measure}
				if r.size() > largest[of].size() {
					r.past, r.KnownAt, r.RunID = past, warehouse.Day(past.KnownAt), pasts[0].RunID
					largest[of] = r
				}
			}
		}
	}
	for _, of := range slices.SortedFunc(maps.Keys(largest), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		r := largest[of]
		if err := r.explain(ctx, db, customerID, optimizationID, cutoff); err != nil {
			return nil, err
		}
		revisions = append(revisions, r)
	}
	return revisions, nil
}

// asOf is what is known now of the visitors who were mature at a midnight; nil where they can't be compared with what was noted then.
func asOf(days []experiment.Day, midnight time.Time, then *experiment.Goal) (now *experiment.Goal) {
	for _, day := range days {
		if day.WasMature(midnight) {
			now = day.Goal
		}
	}
	if now == nil || now.WindowHours != then.WindowHours || now.PlannedVisitors != then.PlannedVisitors {
		return nil
	}
	if was, is := then.Baseline(), now.Baseline(); was == nil || is == nil || was.VariationID != is.VariationID {
		return nil
	}
	return now
}

// revise returns the lifts of a goal that have moved.
func revise(then, now *experiment.Goal) (revisions []Revision) {
	wasBaseline, isBaseline := then.Baseline(), now.Baseline()
	for i := range then.Variations {
		was := &then.Variations[i]
		at := slices.IndexFunc(now.Variations, func(v experiment.Variation) bool { return v.VariationID == was.VariationID })
		if at < 0 {
			continue
		}
		is := &now.Variations[at]
		if was.SameCounts(is) && wasBaseline.SameCounts(isBaseline) {
			continue
		}
		visitors := max(distance(was.Mature, is.Mature), distance(wasBaseline.Mature, isBaseline.Mature))
		for _, measure := range []struct {
			name    string
			was, is *experiment.Comparison
		}{{"rate", was.RateVsBaseline, is.RateVsBaseline}, {"value per visitor", was.ValueVsBaseline, is.ValueVsBaseline}} {
			r := Revision{
				EventID: then.EventID, VariationID: is.VariationID, Variation: is.Label(), Measure: measure.name, Then: measure.was, Now: measure.is,
				window: then.WindowHours, baseline: isBaseline.VariationID, visitors: visitors,
			}
			// The p values of then are adjusted for all that was looked at; now each stands for itself.
			r.IsTurnedAround = r.Then.Decided() && (r.Now == nil || r.Now.PValue >= 0.05 || r.Then.Better() != (r.Now.Lift > 0))
			if r.IsTurnedAround || r.Then != nil && r.Now != nil && math.Abs(r.Then.Lift-r.Now.Lift) >= leastRevision {
				revisions = append(revisions, r)
			}
		}
	}
	return revisions
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// size orders revisions by what matters; that of none is 0.
func (r Revision) size() (size float64) {
	if r.IsTurnedAround {
		size = 1e6
	}
	if r.Then != nil && r.Now != nil {
		size += math.Abs(r.Then.Lift - r.Now.Lift)
	}
	return size
}

// Text says it in words.
func (r Revision) Text() string {
	places := r.Then.Places()
	if r.Now == nil {
		return fmt.Sprintf("published on %s with %s; of the same visitors too few are left to compare", r.KnownAt, r.Then.Text(places))
	}
	for places = max(places, r.Now.Places()); places < 3 && r.Then.Text(places) == r.Now.Text(places); {
		places++
	}
	return fmt.Sprintf("published on %s with %s; the same visitors now have %s", r.KnownAt, r.Then.Text(places), r.Now.Text(places))
}

// explain says why, by what has come since for the visitors compared.
func (r *Revision) explain(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, cutoff time.Time) error {
	var rows []struct {
		VariationID string `ch:"variation_id"`
		Late        uint64 `ch:"late"`
		BroughtBack uint64 `ch:"brought_back"`
		Restated    uint64 `ch:"restated"`
		Retracted   uint64 `ch:"retracted"`
	}
	params := warehouse.Params{
		"customer_id": customerID, "optimization_id": optimizationID, "event_id": r.EventID, "window_days": r.window / 24,
		"moment": warehouse.Time(r.past.Cutoff), "cutoff": warehouse.Time(cutoff),
	}
	if err := db.Select(ctx, &rows, sql.Report("changes_since").SQL, params); err != nil {
		return fmt.Errorf("read what has come since: %w", err)
	}
	var late, back, restated, retracted uint64
	for _, row := range rows {
		if row.VariationID == r.VariationID || row.VariationID == r.baseline {
			late, back, restated, retracted = late+row.Late, back+row.BroughtBack, restated+row.Restated, retracted+row.Retracted
		}
	}
	if r.Measure == "rate" {
		restated = 0
	}
	var parts []string
	for _, part := range []struct {
		n    uint64
		noun string
	}{{late, "late conversion"}, {retracted, "retraction"}, {back, "conversion|brought back"}, {restated, "restated value"}, {r.visitors, "visitor|whose entry changed"}} {
		if part.n > 0 {
			noun, more, _ := strings.Cut(part.noun, "|")
			parts = append(parts, strings.TrimSpace(human.Count(int64(part.n), noun)+" "+more))
		}
	}
	causes, err := r.causes(ctx, db, customerID)
	if err != nil {
		return err
	}
	for _, cause := range causes {
		if slices.Contains([]string{"rule", "event_name", "erasure"}, cause) { // what they change is not counted
			parts = append(parts, jobs.CauseText(cause))
		}
	}
	if len(parts) == 0 {
		for _, cause := range causes {
			parts = append(parts, jobs.CauseText(cause))
		}
	}
	r.Because = human.And(parts)
	return nil
}

// causes are those of the runs since, for what nothing counts.
func (r *Revision) causes(ctx context.Context, db *warehouse.DB, customerID string) (causes []string, err error) {
	var rows []struct {
		Cause string `ch:"cause"`
	}
	params := warehouse.Params{"customer_id": customerID, "run_id": r.past.RunID, "moment": warehouse.Time(r.past.Cutoff)}
	if err := db.Select(ctx, &rows, sql.Report("causes_since").SQL, params); err != nil {
		return nil, fmt.Errorf("read why runs have computed days again: %w", err)
	}
	for _, row := range rows {
		causes = append(causes, row.Cause)
	}
	return causes, nil
}

// SegmentChoice is an attribute with the texts that visitors entered with, the most frequent first.
type SegmentChoice struct {
	Name  string
	Texts []string
}

// SegmentChoices are the attributes of those who entered an optimization.
func SegmentChoices(ctx context.Context, db *warehouse.DB, customerID, optimizationID string) (choices []SegmentChoice, err error) {
	const mostTexts = 20
	var rows []struct {
		Name     string `ch:"name"`
		Text     string `ch:"text"`
		Visitors uint64 `ch:"visitors"`
	}
	params := warehouse.Params{"customer_id": customerID, "optimization_id": optimizationID, "limit": mostTexts}
	if err := db.Select(ctx, &rows, sql.Results("segments").SQL, params); err != nil {
		return nil, fmt.Errorf("look for attributes: %w", err)
	}
	for _, row := range rows {
		if len(choices) == 0 || choices[len(choices)-1].Name != row.Name {
			choices = append(choices, SegmentChoice{Name: row.Name})
		}
		last := &choices[len(choices)-1]
		last.Texts = append(last.Texts, row.Text)
	}
	return choices, nil
}

// Match is what became of the conversions of an event, without duplicates and those taken back.
type Match struct {
	Conversions, Attributed uint64
	Reasons                 []Reason // why the others don't count, the most frequent first
}

// Reason is an outcome of R6 and how many conversions have it.
type Reason struct {
	Outcome     string `ch:"outcome"`
	Conversions uint64 `ch:"conversions"`
}

// Rate is the share that was attributed, nil of none.
func (m Match) Rate() *float64 {
	if m.Conversions == 0 {
		return nil
	}
	rate := float64(m.Attributed) / float64(m.Conversions)
	return &rate
}

// EventMatch counts what became of the conversions of an event on the days of a range.
func EventMatch(ctx context.Context, db *warehouse.DB, customerID, eventID string, days Days) (m Match, err error) {
	var rows []Reason
	if err := db.Select(ctx, &rows, sql.Report("event_outcomes").SQL, rangeParams(customerID, days).With("event_id", eventID)); err != nil {
		return m, fmt.Errorf("count outcomes: %w", err)
	}
	for _, row := range rows {
		m.Conversions += row.Conversions
		if row.Outcome == "attributed" {
			m.Attributed = row.Conversions
			continue
		}
		m.Reasons = append(m.Reasons, row)
	}
	return m, nil
}
