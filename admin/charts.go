package admin

import (
	"time"

	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
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

// liftChart is the cumulative lift of each variation with its always-valid band, over the days of entry.
type liftChart struct {
	Days     []int64      `json:"days"`     // Unix seconds of their starts
	Immature int          `json:"immature"` // from this place on windows are not over; len(Days) where all are
	Series   []bandSeries `json:"series"`
}

type bandSeries struct {
	Label string     `json:"label"`
	Lift  []*float64 `json:"lift"` // per cent; null where nothing is compared
	Low   []*float64 `json:"low"`
	High  []*float64 `json:"high"`
}

// drawLift draws the lifts of the rate; nil where there is no day with one.
func drawLift(days []experiment.Day) *liftChart {
	if len(days) < 2 {
		return nil
	}
	c := &liftChart{Immature: len(days)}
	drawn := false
	for i := range days[len(days)-1].Goal.Variations {
		if v := &days[len(days)-1].Goal.Variations[i]; !v.IsBaseline {
			c.Series = append(c.Series, bandSeries{Label: v.Label()})
		}
	}
	for place, day := range days {
		c.Days = append(c.Days, day.Day.Unix())
		if !day.IsMature {
			c.Immature = min(c.Immature, place)
		}
		at := 0
		for i := range day.Goal.Variations {
			v := &day.Goal.Variations[i]
			if v.IsBaseline {
				continue
			}
			s := &c.Series[at]
			at++
			var lift, low, high *float64
			if r := v.RateVsBaseline; r != nil && day.IsMature {
				drawn = true
				lift, low, high = percentOf(r.Lift), percentOf(r.Low), percentOf(r.High)
			}
			s.Lift, s.Low, s.High = append(s.Lift, lift), append(s.Low, low), append(s.High, high)
		}
	}
	if !drawn {
		return nil
	}
	return c
}

func percentOf(share float64) *float64 {
	percent := 100 * share
	return &percent
}

// interval is a lift with its interval, in the coordinates of a drawing 200 wide.
type interval struct {
	Drawn                bool
	Zero, Low, High, Mid float64
	Better, Worse        bool // decided, so that the whole interval lies on one side of nothing
}

const intervalWidth = 200

// intervals draws comparisons on one axis.
func intervals(compared []*experiment.Comparison) []interval {
	low, high := 0.0, 0.0
	for _, c := range compared {
		if c != nil {
			low, high = min(low, c.Low), max(high, c.High)
		}
	}
	margin := (high - low) / 20
	low, high = low-margin, high+margin
	x := func(lift float64) float64 { return (lift - low) / (high - low) * intervalWidth }
	list := make([]interval, len(compared))
	for i, c := range compared {
		if c != nil && high > low {
			list[i] = interval{Drawn: true, Zero: x(0), Low: x(c.Low), High: x(c.High), Mid: x(c.Lift), Better: c.Better(), Worse: c.Worse()}
		}
	}
	return list
}
