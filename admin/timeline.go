package admin

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tieback/tieback/reports"
)

// timeline is the drawing of what a conversion's user did, in the coordinates of an SVG.
type timeline struct {
	Width, Height int
	Ticks         []tick
	Rows          []timelineRow
	Moments       []moment // the same one below the other, for a phone
	At            float64  // where the conversion is
	AtText        string
	AtEnd         bool    // its label goes to the left
	WindowX       float64 // from there to At views count, under a window of days
	Window        string  // the window, empty under session
}

type tick struct {
	X    float64
	Text string
}

// moment is something that happened.
type moment struct {
	At         int64
	Kind, Text string // session, view, winner, identify or conversion
}

// timelineRow is a visitor: bars for sessions, and marks.
type timelineRow struct {
	VisitorID string
	Y         int
	Bars      []bar
	Marks     []mark
}

type bar struct {
	X, Width, Tail float64 // Tail is the time without events for which it stayed open
	Text           string
}

type mark struct {
	X          float64
	Kind, Text string // view, winner or identify
}

const (
	timelineWidth = 960
	timelineSide  = 24
	timelineTop   = 44
	rowHeight     = 56
	ticks         = 6
	leastBar      = 3
)

// newTimeline draws a journey; nil where no visitor is known.
func newTimeline(c reports.Copy, j *reports.Journey) *timeline {
	if j == nil || len(j.Visitors) == 0 {
		return nil
	}
	first, last := span(c, j)
	x := func(at int64) float64 {
		return timelineSide + float64(at-first)/float64(last-first)*(timelineWidth-2*timelineSide)
	}
	t := &timeline{
		Width: timelineWidth, Height: timelineTop + rowHeight*len(j.Visitors) + 8,
		At: x(c.ActionTimestamp), AtText: "conversion " + clock(c.ActionTimestamp),
	}
	t.AtEnd = t.At > timelineWidth*0.7
	if from := c.WindowFrom(); from > 0 {
		t.WindowX, t.Window = max(x(from), 0), fmt.Sprintf("%s before, from %s on", c.Rule.Window, exact(from))
	}
	for i := range ticks {
		at := first + (last-first)*int64(i)/(ticks-1)
		t.Ticks = append(t.Ticks, tick{x(at), clock(at)})
	}
	won := map[string]bool{}
	for _, a := range c.Attributions {
		won[winner(a.VisitorID, a.OptimizationID, a.VariationID, a.ViewedAt)] = true
	}
	for i, v := range j.Visitors {
		row := timelineRow{VisitorID: v.VisitorID, Y: timelineTop + i*rowHeight}
		for _, s := range v.Sessions {
			row.Bars = append(row.Bars, bar{
				X: x(s.StartedAt), Width: max(x(s.LastEventAt)-x(s.StartedAt), leastBar), Tail: max(x(s.ExpiresAt)-x(s.StartedAt), leastBar),
				Text: fmt.Sprintf("session from %s to %s, open until %s", exact(s.StartedAt), exact(s.LastEventAt), exact(s.ExpiresAt)),
			})
			t.Moments = append(t.Moments, moment{s.StartedAt, "session", fmt.Sprintf("%s: a session begins, open until %s", v.VisitorID, stamp(s.ExpiresAt))})
		}
		for _, e := range v.Events {
			m := mark{X: x(e.OccurredAt), Kind: e.Type, Text: fmt.Sprintf("setUserId(%s, %s) at %s", e.UserDomain, e.UserID, exact(e.OccurredAt))}
			if e.Type == "view" {
				m.Text = fmt.Sprintf("view of %s, variation %s, at %s", e.OptimizationID, e.VariationID, exact(e.OccurredAt))
				if key := winner(v.VisitorID, e.OptimizationID, e.VariationID, e.OccurredAt); won[key] {
					m.Kind = "winner"
					delete(won, key) // once, also of two at one moment
				}
			}
			row.Marks = append(row.Marks, m)
			what := "setUserId"
			if e.Type == "view" {
				what = fmt.Sprintf("view of %s, variation %s", e.OptimizationID, e.VariationID)
			}
			t.Moments = append(t.Moments, moment{e.OccurredAt, m.Kind, v.VisitorID + ": " + what})
		}
		t.Rows = append(t.Rows, row)
	}
	t.Moments = append(t.Moments, moment{c.ActionTimestamp, "conversion", "the conversion"})
	slices.SortStableFunc(t.Moments, func(a, b moment) int { return cmp.Compare(a.At, b.At) })
	return t
}

func winner(visitorID, optimizationID, variationID string, viewedAt int64) string {
	return fmt.Sprintf("%q %q %q %d", visitorID, optimizationID, variationID, viewedAt)
}

// span is from the first to the last moment to be drawn, with some room; never empty.
func span(c reports.Copy, j *reports.Journey) (first, last int64) {
	first, last = c.ActionTimestamp, c.ActionTimestamp
	for _, v := range j.Visitors {
		for _, s := range v.Sessions {
			first, last = min(first, s.StartedAt), max(last, s.ExpiresAt)
		}
		for _, e := range v.Events {
			first, last = min(first, e.OccurredAt), max(last, e.OccurredAt)
		}
	}
	room := max((last-first)/50, int64(time.Minute/time.Millisecond))
	return first - room, last + room
}

// clock writes a moment with its day: sessions go on past midnight.
func clock(at int64) string { return time.UnixMilli(at).UTC().Format("Jan 2 15:04") }
