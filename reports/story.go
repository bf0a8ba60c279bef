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
	Variation      string // its name
	Measure        string // what is compared: rate, or value per visitor
	KnownAt        string // the day on which it was published
	Then, Now      *experiment.Comparison
	Because        string // in words; empty where nothing was noted
	RunID          string // the last run that changed it, for its causes
	IsTurnedAround bool   // what had been decided then is not any more, or the opposite is

	past     *experiment.Past
	visitors int64 // how many more of them are known by now
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
				of := [3]string{r.EventID, r.Variation, r.Measure}
				if r.size() > largest[of].size() {
					r.past, r.KnownAt = past, warehouse.Day(past.KnownAt)
					largest[of] = r
				}
			}
		}
	}
	for _, of := range slices.SortedFunc(maps.Keys(largest), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		r := largest[of]
		if err := r.explain(ctx, db, customerID, optimizationID); err != nil {
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
		visitors := int64(is.Mature) - int64(was.Mature) + int64(isBaseline.Mature) - int64(wasBaseline.Mature)
		for _, measure := range []struct {
			name    string
			was, is *experiment.Comparison
		}{{"rate", was.RateVsBaseline, is.RateVsBaseline}, {"value per visitor", was.ValueVsBaseline, is.ValueVsBaseline}} {
			if measure.was == nil || measure.is == nil {
				continue
			}
			// The p values of then are adjusted for all that was looked at; now each stands for itself.
			turned := measure.was.Decided() && (measure.is.PValue >= 0.05 || measure.was.Better() != (measure.is.Lift > 0))
			if math.Abs(measure.was.Lift-measure.is.Lift) >= leastRevision || turned {
				revisions = append(revisions, Revision{
					EventID: then.EventID, Variation: was.Label(), Measure: measure.name, Then: measure.was, Now: measure.is, IsTurnedAround: turned, visitors: visitors,
				})
			}
		}
	}
	return revisions
}

// size orders revisions by what matters; that of none is 0.
func (r Revision) size() float64 {
	if r.Then == nil {
		return 0
	}
	size := math.Abs(r.Then.Lift - r.Now.Lift)
	if r.IsTurnedAround {
		size += 1e6
	}
	return size
}

type cameAndWent struct {
	EventID    string   `ch:"event_id"`
	Causes     []string `ch:"causes"`
	Came       int64    `ch:"came"`
	Went       int64    `ch:"went"`
	ValueMoved uint8    `ch:"value_moved"`
	LastRunID  string   `ch:"last_run_id"`
}

// explain says why, by what runs since have changed on the days before.
func (r *Revision) explain(ctx context.Context, db *warehouse.DB, customerID, optimizationID string) error {
	var rows []cameAndWent
	params := warehouse.Params{"customer_id": customerID, "optimization_id": optimizationID, "run_id": r.past.RunID, "cutoff": warehouse.Time(r.past.Cutoff)}
	if err := db.Select(ctx, &rows, sql.Report("changes_since").SQL, params); err != nil {
		return fmt.Errorf("read what has changed since: %w", err)
	}
	var late, back, other int64
	restated := false
	var causes []string
	for _, row := range rows {
		if row.EventID != r.EventID {
			continue
		}
		r.RunID = max(r.RunID, row.LastRunID)
		unexplained := row.Came + row.Went
		if slices.Contains(row.Causes, "conversion") {
			late, unexplained = late+row.Came, unexplained-row.Came
		}
		if slices.Contains(row.Causes, "adjustment") {
			back, unexplained = back+row.Went, unexplained-row.Went
			restated = restated || row.ValueMoved == 1
		}
		other += unexplained
		for _, cause := range row.Causes {
			if text := jobs.CauseText(cause); unexplained > 0 && !slices.Contains(causes, text) {
				causes = append(causes, text)
			}
		}
	}
	var parts []string
	if late > 0 {
		parts = append(parts, human.Count(late, "late conversion"))
	}
	if back > 0 {
		parts = append(parts, human.Count(back, "retraction"))
	}
	if restated {
		parts = append(parts, "restated values")
	}
	if other > 0 {
		parts = append(parts, human.Count(other, "attribution")+" changed by "+strings.Join(causes, " and "))
	}
	switch {
	case r.visitors > 0:
		parts = append(parts, human.Count(r.visitors, "visitor")+" reported late")
	case r.visitors < 0:
		parts = append(parts, human.Count(-r.visitors, "visitor")+" fewer")
	}
	r.Because = strings.Join(parts, " and ")
	return nil
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
