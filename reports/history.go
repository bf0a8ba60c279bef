package reports

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// HistoryItem is one thing that was received about a conversion: itself, a copy of it, or an adjustment
// (R10). Times are Unix milliseconds.
type HistoryItem struct {
	Kind       string  `json:"kind"` // received, copy, restate or retract
	IngestID   string  `json:"ingestId"`
	ReceivedAt int64   `json:"receivedAt"`
	AdjustedAt *int64  `json:"adjustedAt,omitempty"` // of an adjustment
	Value      *string `json:"value,omitempty"`
	Change     string  `json:"change"`              // what it changed, in words
	RunID      *string `json:"runId,omitempty"`     // the first run that took it into account
	RunCutoff  *int64  `json:"runCutoff,omitempty"` // and its cutoff
	IsPending  bool    `json:"pending"`             // no run has yet
}

type adjustmentRow struct {
	IngestID   string           `ch:"ingest_id"`
	Kind       string           `ch:"kind"`
	Value      *decimal.Decimal `ch:"value"`
	AdjustedAt time.Time        `ch:"adjusted_at"`
	ReceivedAt time.Time        `ch:"received_at"`
	InsertedAt time.Time        `ch:"inserted_at"`
}

// counts reports whether an adjustment counts rather than another one (R10).
func (a *adjustmentRow) counts(other *adjustmentRow) bool {
	if other == nil {
		return true
	}
	if c := a.AdjustedAt.Compare(other.AdjustedAt); c != 0 {
		return c > 0
	}
	if c := a.ReceivedAt.Compare(other.ReceivedAt); c != 0 {
		return c > 0
	}
	return a.IngestID > other.IngestID
}

// addHistory lists what was received about the conversion, in the order of its receipt, and what each changed.
func (e *Explanation) addHistory(ctx context.Context, db *warehouse.DB, copies []copyRow) error {
	var adjustments []adjustmentRow
	key := warehouse.Params{"customer_id": e.CustomerID, "api_name": e.APIName, "action_id": e.ActionID}
	if err := db.Select(ctx, &adjustments, sql.Report("explain_adjustments").SQL, key); err != nil {
		return err
	}
	var visible []time.Time
	for i, c := range copies {
		item := HistoryItem{Kind: "received", IngestID: c.IngestID, ReceivedAt: c.ReceivedAt.UnixMilli(), Value: decimalText(c.Value)}
		if i > 0 {
			item.Kind = "copy"
		}
		e.History, visible = append(e.History, item), append(visible, c.InsertedAt)
	}
	for _, a := range adjustments {
		e.History = append(e.History, HistoryItem{
			Kind: a.Kind, IngestID: a.IngestID, ReceivedAt: a.ReceivedAt.UnixMilli(), AdjustedAt: new(a.AdjustedAt.UnixMilli()), Value: decimalText(a.Value),
		})
		visible = append(visible, a.InsertedAt)
	}
	if err := e.addRuns(ctx, db, visible); err != nil {
		return err
	}
	slices.SortStableFunc(e.History, func(a, b HistoryItem) int { return int(a.ReceivedAt - b.ReceivedAt) })
	e.tellChanges(adjustments)
	return nil
}

// addRuns finds the first run that took each item into account.
func (e *Explanation) addRuns(ctx context.Context, db *warehouse.DB, visible []time.Time) error {
	received, seen := make([]string, len(visible)), make([]string, len(visible))
	for i, at := range visible {
		received[i], seen[i] = warehouse.Time(time.UnixMilli(e.History[i].ReceivedAt)), warehouse.Time(at)
		e.History[i].IsPending = true
	}
	var runs []struct {
		Place  uint32    `ch:"place"`
		RunID  string    `ch:"first_run_id"`
		Cutoff time.Time `ch:"first_cutoff"`
	}
	if err := db.Select(ctx, &runs, sql.Report("explain_runs").SQL, warehouse.Params{"received": received, "visible": seen}); err != nil {
		return err
	}
	for _, run := range runs {
		item := &e.History[run.Place-1]
		item.RunID, item.RunCutoff, item.IsPending = &run.RunID, new(run.Cutoff.UnixMilli()), false
	}
	return nil
}

// tellChanges replays the items in the order of their receipt.
func (e *Explanation) tellChanges(adjustments []adjustmentRow) {
	of := map[string]*adjustmentRow{}
	for i := range adjustments {
		of[adjustments[i].IngestID] = &adjustments[i]
	}
	var first *HistoryItem
	var last *adjustmentRow
	for i := range e.History {
		item := &e.History[i]
		switch a := of[item.IngestID]; {
		case item.Kind == "received":
			first = item
			item.Change = "counts"
			if last != nil {
				item.Change += "; an adjustment had waited for it: " + last.state()
			}
		case item.Kind == "copy":
			item.Change = "none: it is a duplicate"
		case !a.counts(last):
			item.Change = "none: an adjustment that is meant to hold later counts"
		case first == nil:
			item.Change, last = "waits for the conversion", a
		case a.sameAs(last, first):
			item.Change, last = "none: it was so already", a
		default:
			item.Change, last = stateBefore(last, first)+" -> "+a.state(), a
		}
	}
}

// state is what a conversion is once an adjustment counts.
func (a *adjustmentRow) state() string {
	if a.Kind == warehouse.Retract {
		return "retracted"
	}
	return "value " + *decimalText(a.Value)
}

func stateBefore(last *adjustmentRow, first *HistoryItem) string {
	switch {
	case last != nil:
		return last.state()
	case first.Value == nil:
		return "no value"
	default:
		return "value " + *first.Value
	}
}

func (a *adjustmentRow) sameAs(last *adjustmentRow, first *HistoryItem) bool {
	return a.state() == stateBefore(last, first)
}

// When says which run took the item into account, in words.
func (item HistoryItem) When(now time.Time) string {
	switch {
	case item.RunID != nil:
		return fmt.Sprintf("run with the cutoff %s", human.Moment(time.UnixMilli(*item.RunCutoff)))
	default:
		return "pending: the run at " + human.Moment(nextRun(item.ReceivedAt, now)) + " takes it into account"
	}
}

// nextRun is the first midnight after a receipt; of what became visible only after that run, the next.
func nextRun(receivedAt int64, now time.Time) time.Time {
	next := jobs.LastMidnight(time.UnixMilli(receivedAt)).Add(24 * time.Hour)
	if !next.After(now) {
		next = jobs.LastMidnight(now).Add(24 * time.Hour)
	}
	return next
}

func decimalText(value *decimal.Decimal) *string {
	if value == nil {
		return nil
	}
	return new(value.String())
}
