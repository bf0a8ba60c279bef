package admin

import (
	"context"
	"slices"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
)

// resultsData is the page to decide by: R11 first, and what happened by day (R9) below.
type resultsData struct {
	*reports.Results
	Goals    []goalData
	Visitors *chart // by day
	Choices  []reports.SegmentChoice
	Segment  string // NAME=VALUE, where one was asked for
	By       string
	Cap      string
	Caps     []string                  // to choose from
	Days     struct{ From, To string } // asked for; empty for all
}

// goalData is one goal of the page.
type goalData struct {
	reports.GoalResults
	Lift      *liftChart
	Funnel    []funnel
	Daily     *chart // conversion rate
	Match     reports.Match
	Revisions []reports.Revision
}

// funnel is a variation's way from entered to converted, as shares of the largest variation.
type funnel struct {
	Label                         string
	Entered, Mature, Converted    uint64
	EnteredX, MatureX, ConvertedX float64 // of 100
}

// comparisonData is the table of a goal's variations, with bars for rate and value on one scale.
type comparisonData struct {
	Goal          *experiment.Goal
	Rates, Values []interval
	HasValue      bool
	Name          string // of the file, as CSV
}

func newComparison(g *experiment.Goal, hasValue bool, name string) comparisonData {
	var both []*experiment.Comparison
	for _, v := range g.Variations {
		both = append(both, v.RateVsBaseline)
	}
	for _, v := range g.Variations {
		both = append(both, v.ValueVsBaseline)
	}
	drawn := intervals(both)
	return comparisonData{g, drawn[:len(g.Variations)], drawn[len(g.Variations):], hasValue, name}
}

// liftData is a lift and how it is drawn.
type liftData struct {
	Bar interval
	Of  *experiment.Comparison
}

func (a *Admin) viewResults(c *fiber.Ctx) (*view, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	asked, err := a.asked(c)
	if err != nil {
		return nil, err
	}
	data := resultsData{Segment: query(c, "segment"), By: asked.By, Cap: query(c, "cap"), Caps: []string{"0.999", "0.99", "0.95"}}
	if data.Cap != "" && !slices.Contains(data.Caps, data.Cap) {
		data.Caps = append(data.Caps, data.Cap)
	}
	data.Days.From, data.Days.To = query(c, "from"), query(c, "to")
	if data.Results, err = reports.OptimizationResults(c.UserContext(), a.cfg.DB, snap, customerID, id, asked); err != nil {
		return nil, err
	}
	for _, goal := range data.Results.Goals {
		data.Goals = append(data.Goals, newGoalData(goal))
	}
	if asked.KnownAt.IsZero() {
		if err := a.addDays(c, &data, asked); err != nil {
			return nil, err
		}
	}
	title := data.Name
	if title == "" {
		title = id
	}
	return &view{Title: "Results of " + title, Account: customerID, Tab: "optimizations", Data: data}, nil
}

func newGoalData(goal reports.GoalResults) goalData {
	g := goalData{GoalResults: goal}
	variations := goal.Experiment.Variations
	most := uint64(1)
	for _, v := range variations {
		most = max(most, v.Entered)
	}
	share := func(n uint64) float64 { return 100 * float64(n) / float64(most) }
	for _, v := range variations {
		g.Funnel = append(g.Funnel, funnel{v.Label(), v.Entered, v.Mature, v.Converters, share(v.Entered), share(v.Mature), share(v.Converters)})
	}
	return g
}

// addDays adds what the page shows over time, a part of it each at once.
func (a *Admin) addDays(c *fiber.Ctx, data *resultsData, asked reports.Asked) error {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return err
	}
	var days reports.Days
	if data.From != "" {
		if days, err = reports.ParseDays(data.From, data.To); err != nil {
			return err
		}
	}
	work, ctx := errgroup.WithContext(c.UserContext())
	work.SetLimit(3) // others use the connections, too
	work.Go(func() error { return a.addLifts(ctx, data, snap, asked) })
	work.Go(func() (err error) {
		data.Choices, err = reports.SegmentChoices(ctx, a.cfg.DB, customerID, id)
		return err
	})
	for i := range data.Goals {
		g := &data.Goals[i]
		if data.From == "" {
			continue
		}
		work.Go(func() (err error) {
			g.Match, err = reports.EventMatch(ctx, a.cfg.DB, customerID, g.EventID, days)
			return err
		})
		work.Go(func() error {
			trend, err := reports.Trend(ctx, a.cfg.DB, customerID, id, g.EventID, days)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(trend, func(row reports.TrendDay) bool { return row.Conversions > 0 }) {
				g.Daily = rateChart(data.Results, trend, days)
			}
			if i == 0 {
				data.Visitors = visitorsChart(data.Results, trend, days)
			}
			return nil
		})
	}
	return work.Wait()
}

// addLifts adds the lift of each goal by the day of entry, and what was published of it before and is another figure now.
func (a *Admin) addLifts(ctx context.Context, data *resultsData, snap *catalog.Snapshot, asked reports.Asked) error {
	cutoff, version, err := jobs.Published(ctx, a.cfg.DB)
	if err != nil {
		return err
	}
	series, err := experiment.Cumulative(ctx, a.cfg.DB, snap, experiment.Question{
		CustomerID: data.CustomerID, OptimizationID: data.OptimizationID, From: asked.Days.From, To: asked.Days.To, Cap: asked.Cap,
		SegmentName: asked.SegmentName, SegmentValue: asked.SegmentValue, Cutoff: cutoff, Version: version,
	})
	if err != nil {
		return err
	}
	for i := range data.Goals {
		data.Goals[i].Lift = drawLift(series[data.Goals[i].EventID])
	}
	if asked != (reports.Asked{}) && asked != (reports.Asked{By: asked.By}) {
		return nil // runs note the figures of everybody
	}
	revisions, err := reports.Revisions(ctx, a.cfg.DB, data.CustomerID, data.OptimizationID, series, cutoff)
	for _, r := range revisions {
		i := slices.IndexFunc(data.Goals, func(g goalData) bool { return g.EventID == r.EventID })
		data.Goals[i].Revisions = append(data.Goals[i].Revisions, r)
	}
	return err
}
