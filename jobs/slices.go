package jobs

import (
	"context"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// slice is a range of visitors, in the order of client_events.
type slice struct {
	FirstCustomer, FirstVisitor string
	EndCustomer, EndVisitor     string // exclusive
	Last                        bool   // there is no end
}

// slices cuts the visitors so that each slice has about sliceRows to read.
func (n *night) slices(ctx context.Context) ([]slice, error) {
	if n.rows <= n.sliceRows {
		return []slice{{Last: true}}, nil
	}
	var starts []struct {
		CustomerID string `ch:"customer_id"`
		VisitorID  string `ch:"visitor_id"`
	}
	query := sql.Report("slices").SQL
	if err := n.db.Select(ctx, &starts, query, warehouse.Params{"slices": (n.rows + n.sliceRows - 1) / n.sliceRows}); err != nil {
		return nil, err
	}
	slices := make([]slice, 1, len(starts)+1)
	for i, start := range starts {
		slices[i].EndCustomer, slices[i].EndVisitor = start.CustomerID, start.VisitorID
		slices = append(slices, slice{FirstCustomer: start.CustomerID, FirstVisitor: start.VisitorID})
	}
	slices[len(slices)-1].Last = true
	return slices, nil
}

// in returns the run with its steps confined to a slice of the visitors.
func (n *night) in(s slice) *night {
	confined := *n
	confined.params = n.params.
		With("slice_first_customer", s.FirstCustomer).With("slice_first_visitor", s.FirstVisitor).
		With("slice_end_customer", s.EndCustomer).With("slice_end_visitor", s.EndVisitor).
		With("slice_last", flag(s.Last))
	return &confined
}
