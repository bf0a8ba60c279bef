package admin

import (
	"time"

	"github.com/tieback/tieback/reports"
)

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
