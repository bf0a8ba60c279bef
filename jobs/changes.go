package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/warehouse"
)

// Change is a figure of a day that had been published before and that a run changed: a
// row of run_changes.
type Change struct {
	RunID             string          `ch:"run_id"`
	CustomerID        string          `ch:"customer_id"`
	Day               time.Time       `ch:"day"`
	OptimizationID    string          `ch:"optimization_id"`
	VariationID       string          `ch:"variation_id"`
	EventID           string          `ch:"event_id"` // empty for the visitors of the variation
	VisitorsBefore    uint64          `ch:"visitors_before"`
	VisitorsAfter     uint64          `ch:"visitors_after"`
	ConversionsBefore uint64          `ch:"conversions_before"`
	ConversionsAfter  uint64          `ch:"conversions_after"`
	ValueBefore       decimal.Decimal `ch:"value_before"`
	ValueAfter        decimal.Decimal `ch:"value_after"`
	Causes            []string        `ch:"causes"`
}

// Because returns the causes in words.
func (c Change) Because() string {
	words := make([]string, len(c.Causes))
	for i, cause := range c.Causes {
		words[i] = CauseText(cause)
	}
	return strings.Join(words, ", ")
}

// CauseText is a cause of run_days and run_changes in words.
func CauseText(cause string) string {
	switch cause {
	case "client_event":
		return "client events"
	case "conversion":
		return "conversions"
	case "identity":
		return "identities"
	case "event_name":
		return "name changes"
	case "rule":
		return "attribution rules"
	case "adjustment":
		return "adjustments"
	case "erasure":
		return "an erasure"
	case "rerun":
		return "the re-run"
	case "full":
		return "a full run"
	default:
		return cause
	}
}

// Changes returns the first changes that a run made, and how many there are.
func Changes(ctx context.Context, db *warehouse.DB, runID string, limit int) (changes []Change, total uint64, err error) {
	params := warehouse.Params{"run_id": runID}
	if err := db.Row(ctx, "select count() from run_changes where run_id = {run_id:String}", params, &total); err != nil {
		return nil, 0, fmt.Errorf("read the changes: %w", err)
	}
	err = db.Select(ctx, &changes, `select * from run_changes where run_id = {run_id:String}
		order by customer_id, day, optimization_id, variation_id, event_id limit {limit:UInt32}`, params.With("limit", limit))
	if err != nil {
		return nil, 0, fmt.Errorf("read the changes: %w", err)
	}
	return changes, total, nil
}

// Cause is a reason for which a run computed days, with the first and the last of them.
type Cause struct {
	Cause string    `ch:"cause"`
	Days  uint64    `ch:"days"`
	First time.Time `ch:"first_day"`
	Last  time.Time `ch:"last_day"`
}

// Causes returns why a run computed which days.
func Causes(ctx context.Context, db *warehouse.DB, runID string) (causes []Cause, err error) {
	err = db.Select(ctx, &causes, `select toString(cause) as cause, uniqExact(day) as days, min(day) as first_day, max(day) as last_day
		from run_days where run_id = {run_id:String} group by cause order by cause`, warehouse.Params{"run_id": runID})
	return causes, err
}

// SlowestSteps returns the steps of a run that took longest, each with all its repeats.
func SlowestSteps(ctx context.Context, db *warehouse.DB, runID string, limit int) (steps []Step, err error) {
	err = db.Select(ctx, &steps, `select any(run_steps.run_id) as run_id, step, min(started_at) as started_at,
			sum(run_steps.duration_ms) as duration_ms, sum(run_steps.rows) as rows
		from run_steps where run_steps.run_id = {run_id:String} group by step order by duration_ms desc, step limit {limit:UInt32}`,
		warehouse.Params{"run_id": runID, "limit": limit})
	return steps, err
}
