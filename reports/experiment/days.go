package experiment

import (
	"context"
	"slices"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/warehouse"
)

// Day is where a goal stood with the visitors who entered up to the midnight that ends a day, as it is known now.
type Day struct {
	Day      time.Time
	IsMature bool // the windows of all who entered that day are over
	Goal     *Goal
}

// WasMature reports whether the windows of all who entered that day were over at a cutoff. If that is a midnight, the last day that was
// has exactly the visitors who were mature then.
func (d Day) WasMature(cutoff time.Time) bool {
	return !d.Day.AddDate(0, 0, 1).Add(time.Duration(d.Goal.WindowHours) * time.Hour).After(cutoff)
}

// Cumulative returns the days of entry of one optimization by goal event: what would have been shown when the visitors of each day
// became mature, had everything been known. Days on which nobody entered are left out.
func Cumulative(ctx context.Context, db *warehouse.DB, snap *catalog.Snapshot, q Question) (map[string][]Day, error) {
	q.byDay, q.By = true, ""
	c, err := q.count(ctx, db)
	if err != nil {
		return nil, err
	}
	k := key{q.CustomerID, q.OptimizationID, ""}
	var entered []time.Time
	for _, row := range c.entered[k] {
		entered = append(entered, row.Day.UTC())
	}
	slices.SortFunc(entered, time.Time.Compare)
	entered = slices.Compact(entered)
	series := map[string][]Day{}
	for _, goal := range snap.GoalsOf(q.CustomerID, q.OptimizationID) {
		for _, day := range entered {
			g := c.goal(snap, goal, k, func(of time.Time) bool { return !of.UTC().After(day) })
			of := Day{Day: day, Goal: g}
			of.IsMature = of.WasMature(q.Cutoff)
			series[goal.EventID] = append(series[goal.EventID], of)
		}
	}
	return series, nil
}
