package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// slice is a range of visitors, or of visitor-days in the order of client_events.
type slice struct{ First, End *visitorDay } // End is exclusive; nil where there is none

// visitorDay is a place in the order of client_events. Where visitors are cut whole, Day is 1970-01-01.
type visitorDay struct {
	Day        time.Time `ch:"day"`
	CustomerID string    `ch:"customer_id"`
	VisitorID  string    `ch:"visitor_id"`
}

// visitorSlices cuts the visitors so that those under way together have so many client
// events at most.
func (n *night) visitorSlices(ctx context.Context) ([]warehouse.Params, error) {
	return n.cut(ctx, max(1, n.rowsAtOnce/uint64(n.workers())), false)
}

// daySlices cuts the visitor-days.
func (n *night) daySlices(ctx context.Context) ([]warehouse.Params, error) {
	return n.cut(ctx, n.daySliceRows, true)
}

// cut makes slices of about as many client events each, so many at most, and as many for
// each worker. What is not worth it stays whole.
func (n *night) cut(ctx context.Context, rows uint64, byDay bool) ([]warehouse.Params, error) {
	const worth = 4 // a fourth of daySliceRows
	workers := uint64(n.workers())
	count := (n.rows + rows*workers - 1) / (rows * workers) * workers
	if count <= 1 || n.rows < n.daySliceRows/worth {
		return []warehouse.Params{n.in(slice{})}, nil
	}
	statement := sql.Report("slices").SQL
	params := n.params.With("slices", count).With("by_day", flag(byDay))
	var cuts []visitorDay
	if err := n.db.Select(ctx, &cuts, statement, params.For(statement)); err != nil {
		return nil, fmt.Errorf("cut slices: %w", err)
	}
	var next slice
	slices := make([]warehouse.Params, 0, len(cuts)+1)
	for i := range cuts {
		next.End = &cuts[i]
		slices = append(slices, n.in(next))
		next = slice{First: &cuts[i]}
	}
	return append(slices, n.in(next)), nil
}

// workers is how many slices are under way at once.
func (n *night) workers() int { return int(max(1, min(n.threads, slicesAtOnce))) }

// in returns the parameters that confine a step to a slice.
func (n *night) in(s slice) warehouse.Params {
	first, end := visitorDay{Day: time.UnixMilli(0)}, visitorDay{Day: time.UnixMilli(0)}
	if s.First != nil {
		first = *s.First
	}
	if s.End != nil {
		end = *s.End
	}
	return n.params.
		With("slice_first_day", warehouse.Day(first.Day)).
		With("slice_first_customer", first.CustomerID).With("slice_first_visitor", first.VisitorID).
		With("slice_end_day", warehouse.Day(end.Day)).
		With("slice_end_customer", end.CustomerID).With("slice_end_visitor", end.VisitorID).
		With("slice_last", flag(s.End == nil))
}
