package reports

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

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
	KnownAt        string // the day on which it was published
	Then, Now      *experiment.Comparison
	Because        string // in words; empty where nothing was noted
	RunID          string // the last run that changed it, for its causes
	IsTurnedAround bool   // it had been decided then, and is not now, or the other way round
}

// leastRevision is by how much a lift must differ to be told of.
const leastRevision = 0.005

type cameAndWent struct {
	EventID   string   `ch:"event_id"`
	Causes    []string `ch:"causes"`
	Came      int64    `ch:"came"`
	Went      int64    `ch:"went"`
	LastRunID string   `ch:"last_run_id"`
}

// Revisions compares what was noted of an optimization after earlier runs with what is known of the same visitors now: of each goal and
// variation the figure that differs most. days are those of experiment.Cumulative.
func Revisions(ctx context.Context, db *warehouse.DB, customerID, optimizationID string, days map[string][]experiment.Day) (revisions []Revision, err error) {
	const looked = 100 // runs
	pasts, err := experiment.History(ctx, db, customerID, optimizationID, looked)
	if err != nil || len(pasts) < 2 {
		return nil, err
	}
	for eventID, of := range days {
		found := map[string]int{}
		for _, past := range pasts[1:] {
			g := goalOf(past, eventID)
			if g == nil {
				continue
			}
			now := asOf(of, past, g)
			if now == nil {
				continue
			}
			for i := range g.Variations {
				r := revise(past, eventID, &g.Variations[i], now)
				if r == nil {
					continue
				}
				at, known := found[r.Variation]
				switch {
				case !known:
					found[r.Variation] = len(revisions)
					revisions = append(revisions, *r)
				case r.size() > revisions[at].size():
					revisions[at] = *r
				}
			}
		}
	}
	for i := range revisions {
		if err := revisions[i].explain(ctx, db, customerID, optimizationID); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(revisions, func(a, b Revision) int {
		return strings.Compare(a.EventID+"\x00"+a.Variation, b.EventID+"\x00"+b.Variation)
	})
	return revisions, nil
}

func goalOf(past *experiment.Past, eventID string) *experiment.Goal {
	i := slices.IndexFunc(past.Goals, func(g *experiment.Goal) bool { return g.EventID == eventID })
	if i < 0 {
		return nil
	}
	return past.Goals[i]
}

// asOf is what is known now of the visitors that were mature when a run noted a goal; nil where its window was another one.
func asOf(days []experiment.Day, past *experiment.Past, g *experiment.Goal) *experiment.Goal {
	var now *experiment.Goal
	for _, day := range days {
		if day.WasMature(past.Cutoff) && day.Goal.WindowHours == g.WindowHours {
			now = day.Goal
		}
	}
	return now
}

// revise compares a variation's rate; nil where it stayed what it was.
func revise(past *experiment.Past, eventID string, then *experiment.Variation, now *experiment.Goal) *Revision {
	i := slices.IndexFunc(now.Variations, func(v experiment.Variation) bool { return v.VariationID == then.VariationID })
	if i < 0 || then.RateVsBaseline == nil || now.Variations[i].RateVsBaseline == nil {
		return nil
	}
	r := &Revision{
		EventID: eventID, Variation: then.Label(), KnownAt: past.KnownAt.Format("2006-01-02"), RunID: past.RunID,
		Then: then.RateVsBaseline, Now: now.Variations[i].RateVsBaseline,
	}
	// Of the past p values are adjusted for all that was looked at then; now each stands for itself.
	r.IsTurnedAround = r.Then.Decided() && (r.Now.PValue >= 0.05 || r.Then.Better() != (r.Now.Lift > 0))
	if math.Abs(r.Then.Lift-r.Now.Lift) < leastRevision && !r.IsTurnedAround {
		return nil
	}
	return r
}

// size orders revisions by what matters.
func (r *Revision) size() float64 {
	size := math.Abs(r.Then.Lift - r.Now.Lift)
	if r.IsTurnedAround {
		size += 1e6
	}
	return size
}

// explain says why, by what runs since have changed on days published before.
func (r *Revision) explain(ctx context.Context, db *warehouse.DB, customerID, optimizationID string) error {
	var rows []cameAndWent
	params := warehouse.Params{"customer_id": customerID, "optimization_id": optimizationID, "run_id": r.RunID}
	if err := db.Select(ctx, &rows, sql.Report("changes_since").SQL, params); err != nil {
		return fmt.Errorf("read what has changed since: %w", err)
	}
	var late, back, other int64
	var causes []string
	r.RunID = ""
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
	if other > 0 {
		parts = append(parts, human.Count(other, "attribution")+" changed by "+strings.Join(causes, " and "))
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
