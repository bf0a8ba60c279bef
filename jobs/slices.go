package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

const (
	// sliceRows is of how many client events exposures are computed at once. With more, the groups
	// don't stay in the processor's cache.
	sliceRows = 2_000_000

	// smallRows are so few that they are not cut, also where processors are idle.
	smallRows = 200_000

	// slicesAtOnce is how many statements share the processors.
	slicesAtOnce = 4
)

// visitor is a place in the order of a day's client events.
type visitor struct {
	CustomerID string `ch:"customer_id"`
	VisitorID  string `ch:"visitor_id"`
}

// slicesOf returns the parameters of a step for a day, once for each slice of the visitors of a shard: as many as
// the processors can take, and of so many events at most.
func (n *night) slicesOf(ctx context.Context, shard *warehouse.DB, today time.Time, table string) ([]warehouse.Params, error) {
	params := n.ofDay(today, table)
	rows := n.days[today].rows / n.shards
	workers := uint64(n.workers())
	count := (rows + n.sliceRows*workers - 1) / (n.sliceRows * workers) * workers
	if count <= 1 || rows < n.smallRows {
		return []warehouse.Params{between(params, nil, nil)}, nil
	}
	query := sql.Report("slices").SQL
	var cuts []visitor
	if err := shard.Select(ctx, &cuts, query, params.With("slices", count).For(query)); err != nil {
		return nil, fmt.Errorf("cut slices: %w", err)
	}
	var first *visitor
	slices := make([]warehouse.Params, 0, len(cuts)+1)
	for i := range cuts {
		slices = append(slices, between(params, first, &cuts[i]))
		first = &cuts[i]
	}
	return append(slices, between(params, first, nil)), nil
}

// workers is how many slices are under way at once.
func (n *night) workers() int { return int(max(1, min(n.threads, slicesAtOnce))) }

// between confines a step to the visitors from first, inclusive, to end, exclusive; nil means no bound.
func between(params warehouse.Params, first, end *visitor) warehouse.Params {
	params = params.With("slice_last", flag(end == nil))
	if first == nil {
		first = &visitor{}
	}
	if end == nil {
		end = &visitor{}
	}
	return params.
		With("slice_first_customer", first.CustomerID).With("slice_first_visitor", first.VisitorID).
		With("slice_end_customer", end.CustomerID).With("slice_end_visitor", end.VisitorID)
}
