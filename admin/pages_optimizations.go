package admin

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/reports"
)

func (a *Admin) viewOptimizations(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	var list []optimizationAnswer
	configured := snap.Optimizations[account.CustomerID]
	for _, id := range slices.Sorted(maps.Keys(configured)) {
		list = append(list, optimizationOf(snap, configured[id]))
	}
	return &view{Title: "Optimizations", Account: account.CustomerID, Tab: "optimizations", Data: list}, nil
}

// formNewOptimization makes one with two variations, which its own page then names.
func (a *Admin) formNewOptimization(c *fiber.Ctx) (string, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return "", err
	}
	id := value(c, "optimizationId")
	if _, exists := snap.Optimizations[account.CustomerID][id]; exists {
		return "", fmt.Errorf("%w: there is an optimization %s already", catalog.ErrConflict, id)
	}
	in := optimizationInput{Name: value(c, "name"), Variations: variations(c)}
	if in.Name == "" {
		in.Name = id
	}
	return optimizationPath(account.CustomerID, id), a.putOptimization(c.UserContext(), source(c), account.CustomerID, id, in)
}

func optimizationPath(customerID, optimizationID string) string {
	return home(customerID) + "/optimizations/" + url.PathEscape(optimizationID)
}

// variations reads the rows of a form; rows without an id are left out.
func variations(c *fiber.Ctx) (list []variationInput) {
	ids, names, weights := values(c, "variationId"), values(c, "variationName"), values(c, "weight")
	baseline := c.FormValue("baseline")
	for i, id := range ids {
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		v := variationInput{ID: id, Baseline: baseline == strconv.Itoa(i)}
		if i < len(names) {
			v.Name = strings.TrimSpace(names[i])
		}
		if i < len(weights) && weights[i] != "" {
			weight, err := strconv.ParseFloat(weights[i], 64)
			if err != nil {
				weight = -1 // refused as no weight
			}
			v.Weight = &weight
		}
		list = append(list, v)
	}
	return list
}

// optimizationData is the page on which an optimization is edited.
type optimizationData struct {
	optimizationAnswer
	Blank []int             // rows for more variations
	Names map[string]string // of the events, by id
	Other []catalog.Event   // that are no goals yet
}

func (a *Admin) viewOptimization(c *fiber.Ctx) (*view, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	configured, known := snap.Optimizations[customerID][id]
	if !known {
		return nil, fmt.Errorf("%w: account %s has no optimization %s", catalog.ErrNotFound, customerID, id)
	}
	data := optimizationData{optimizationAnswer: optimizationOf(snap, configured), Names: map[string]string{}}
	for i := range 2 {
		data.Blank = append(data.Blank, len(data.Variations)+i)
	}
	for _, event := range snap.EventsOf(customerID) {
		data.Names[event.EventID] = event.Current()
		isGoal := slices.ContainsFunc(data.Goals, func(g goalAnswer) bool { return g.EventID == event.EventID })
		if event.Current() != "" && !isGoal {
			data.Other = append(data.Other, event)
		}
	}
	return &view{Title: configured.Name, Account: customerID, Tab: "optimizations", Data: data}, nil
}

func (a *Admin) formOptimization(c *fiber.Ctx) (string, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	in := optimizationInput{Name: value(c, "name"), Variations: variations(c)}
	return optimizationPath(customerID, id), a.putOptimization(c.UserContext(), source(c), customerID, id, in)
}

func (a *Admin) formGoal(c *fiber.Ctx) (string, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	in := goalInput{Primary: c.FormValue("primary") != ""}
	return optimizationPath(customerID, id), a.putGoal(c.UserContext(), source(c), customerID, id, strings.Clone(c.FormValue("eventId")), in)
}

func (a *Admin) formRemoveGoal(c *fiber.Ctx) (string, error) {
	customerID, id, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	return optimizationPath(customerID, id), a.removeGoal(c.UserContext(), source(c), customerID, id, strings.Clone(c.FormValue("eventId")))
}

// resultsData is the page of R9.
type resultsData struct {
	*reports.Results
	Visitors *chart
	Goals    []goalData
}

type goalData struct {
	reports.GoalResults
	Rate      *chart
	Intervals []interval // one per arm
}

func (a *Admin) viewResults(c *fiber.Ctx) (*view, error) {
	customerID, id, snap, err := a.optimization(c)
	if err != nil {
		return nil, err
	}
	days, err := a.days(c, 0)
	if err != nil {
		return nil, err
	}
	results, err := reports.OptimizationResults(c.UserContext(), a.cfg.DB, snap, customerID, id, days)
	if err != nil {
		return nil, err
	}
	data := resultsData{Results: results}
	if results.From != "" {
		if days, err = reports.ParseDays(results.From, results.To); err != nil {
			return nil, err
		}
	}
	for _, goal := range results.Goals {
		g := goalData{GoalResults: goal, Intervals: intervals(goal)}
		if results.From != "" {
			trend, err := reports.Trend(c.UserContext(), a.cfg.DB, customerID, id, goal.EventID, days)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(trend, func(row reports.TrendDay) bool { return row.Conversions > 0 }) {
				g.Rate = rateChart(results, trend, days)
			}
			data.Visitors = visitorsChart(results, trend, days)
		}
		data.Goals = append(data.Goals, g)
	}
	title := results.Name
	if title == "" {
		title = id
	}
	return &view{Title: "Results of " + title, Account: customerID, Tab: "optimizations", Data: data}, nil
}

// chart is what static/admin.js gives to uPlot.
type chart struct {
	Unit   string   `json:"unit"`
	Days   []int64  `json:"days"` // Unix seconds of their starts
	Series []series `json:"series"`
}

type series struct {
	Label  string     `json:"label"`
	Values []*float64 `json:"values"` // one a day; null where there is none
}

// draw makes a chart of a figure of each variation, day by day; nil for a single day.
func draw(results *reports.Results, trend []reports.TrendDay, days reports.Days, unit string, figure func(reports.TrendDay) *float64) *chart {
	count := int(days.To.Sub(days.From)/(24*time.Hour)) + 1
	if count < 2 {
		return nil
	}
	c := &chart{Unit: unit}
	for i := range count {
		c.Days = append(c.Days, days.From.AddDate(0, 0, i).Unix())
	}
	at := map[string]int{}
	for i, v := range results.Variations {
		at[v.VariationID] = i
		c.Series = append(c.Series, series{Label: v.Label(), Values: make([]*float64, count)})
	}
	for _, row := range trend {
		day, err := time.Parse(time.DateOnly, row.Day)
		i, known := at[row.VariationID]
		if err != nil || !known {
			continue
		}
		c.Series[i].Values[int(day.Sub(days.From)/(24*time.Hour))] = figure(row)
	}
	return c
}

func visitorsChart(results *reports.Results, trend []reports.TrendDay, days reports.Days) *chart {
	return draw(results, trend, days, "", func(row reports.TrendDay) *float64 {
		visitors := float64(row.Visitors)
		return &visitors
	})
}

// rateChart shows the conversion rate of each day by itself.
func rateChart(results *reports.Results, trend []reports.TrendDay, days reports.Days) *chart {
	return draw(results, trend, days, "%", func(row reports.TrendDay) *float64 {
		if row.Visitors == 0 {
			return nil
		}
		rate := 100 * float64(row.Converters) / float64(row.Visitors)
		return &rate
	})
}

// interval is a lift with its interval, in the coordinates of a drawing 200 wide.
type interval struct {
	Drawn                bool
	Zero, Low, High, Mid float64
	Better, Worse        bool // the whole interval lies on one side of nothing
}

const intervalWidth = 200

// intervals draws the lifts of a goal's arms on one axis.
func intervals(goal reports.GoalResults) []interval {
	low, high := 0.0, 0.0
	for _, arm := range goal.Arms {
		if arm.Rate != nil && arm.Rate.Lift != nil {
			low, high = min(low, *arm.Rate.LiftLow), max(high, *arm.Rate.LiftHigh)
		}
	}
	margin := (high - low) / 20
	low, high = low-margin, high+margin
	x := func(lift float64) float64 { return (lift - low) / (high - low) * intervalWidth }
	list := make([]interval, len(goal.Arms))
	for i, arm := range goal.Arms {
		if arm.Rate == nil || arm.Rate.Lift == nil || high <= low {
			continue
		}
		r := arm.Rate
		list[i] = interval{
			Drawn: true, Zero: x(0), Low: x(*r.LiftLow), High: x(*r.LiftHigh), Mid: x(*r.Lift),
			Better: *r.LiftLow > 0, Worse: *r.LiftHigh < 0,
		}
	}
	return list
}
