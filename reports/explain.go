// Package reports answers what people ask of the published tables.
package reports

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Explanation shows what became of one conversion, and why.
type Explanation struct {
	CustomerID string `json:"customerId"`
	APIName    string `json:"apiName"`
	ActionID   string `json:"actionId"`
	Copies     []Copy `json:"copies"` // every one received, the one that counts first
	// History has all that was received about it, copies and adjustments, in the order of its receipt.
	History []HistoryItem `json:"history"`
}

// Copy is one time that the conversion was received.
type Copy struct {
	IngestID        string        `json:"ingestId"`
	UserDomain      string        `json:"userDomain"`
	UserID          string        `json:"userId"`
	ActionTimestamp int64         `json:"actionTimestamp"`
	Value           *string       `json:"value,omitempty"` // as received
	ReceivedAt      int64         `json:"receivedAt"`
	Outcome         string        `json:"outcome"`             // R6, or pending
	DecidedBy       *int64        `json:"decidedBy,omitempty"` // of a pending one: when the run that decides begins
	Rule            *Rule         `json:"rule,omitempty"`      // that was in force (R3); left out where no event bore the name
	Reason          string        `json:"reason"`              // in words
	Hints           []string      `json:"hints"`               // near misses: what may have gone wrong, in words
	Facts           Facts         `json:"facts"`               // in figures
	Attributions    []Attribution `json:"attributions"`
}

// Rule is an attribution rule (R3, R4).
type Rule struct {
	Window string `json:"window"` // session, or days as 30d
	Credit string `json:"credit"` // last or first
}

// Facts decided the outcome of a conversion that was not attributed; those that
// played no part are left out. Times are Unix milliseconds.
type Facts struct {
	CountedIngestID    string       `json:"countedIngestId,omitempty"`    // of a duplicate: the copy that counts
	IdentityOccurredAt *int64       `json:"identityOccurredAt,omitempty"` // of the first identify of the user
	IdentityReceivedAt *int64       `json:"identityReceivedAt,omitempty"`
	IdentityLateByMS   *int64       `json:"identityLateByMs,omitempty"`
	NearestView        *NearestView `json:"nearestView,omitempty"`
}

// NearestView is the view, by a visitor linked in time, that came nearest to being counted:
// before the conversion, or at or after it.
type NearestView struct {
	VisitorID        string `json:"visitorId"`
	ViewedAt         int64  `json:"viewedAt"`
	Side             string `json:"side"`                       // before or after
	SessionExpiredAt *int64 `json:"sessionExpiredAt,omitempty"` // of the session it lies in
	// MissedByMS is by how much the conversion would have had to happen earlier (before the
	// session expired, or within the window of the view, or 7 days of it), or with side after, later.
	MissedByMS int64 `json:"missedByMs"`
}

const (
	sideBefore = "before"
	sideAfter  = "after"
)

// Attribution is a row of attributions.
type Attribution struct {
	OptimizationID   string `json:"optimizationId"`
	VariationID      string `json:"variationId"`
	VisitorID        string `json:"visitorId"`
	SessionStartedAt *int64 `json:"sessionStartedAt"` // null under a window of days
	ViewedAt         int64  `json:"viewedAt"`
}

type copyRow struct {
	IngestID   string           `ch:"ingest_id"`
	UserDomain string           `ch:"user_domain"`
	UserID     string           `ch:"user_id"`
	ActionAt   time.Time        `ch:"action_at"`
	Value      *decimal.Decimal `ch:"value"`
	ReceivedAt time.Time        `ch:"received_at"`
	InsertedAt time.Time        `ch:"inserted_at"`
	Outcome    string           `ch:"outcome"`
}

type attributionRow struct {
	IngestID         string     `ch:"ingest_id"`
	OptimizationID   string     `ch:"optimization_id"`
	VariationID      string     `ch:"variation_id"`
	VisitorID        string     `ch:"visitor_id"`
	SessionStartedAt *time.Time `ch:"session_started_at"`
	ViewedAt         time.Time  `ch:"viewed_at"`
}

type visitorRow struct {
	VisitorID        string    `ch:"visitor_id"`
	LinkedAt         time.Time `ch:"linked_at"`            // when the first identify happened
	ReceivedAt       time.Time `ch:"identify_received_at"` // of the identify that linked
	HasView          uint8     `ch:"has_view"`
	ViewedAt         time.Time `ch:"viewed_at"`
	HasSession       uint8     `ch:"has_session"`
	SessionStartedAt time.Time `ch:"session_started_at"`
	SessionExpiresAt time.Time `ch:"session_expires_at"`

	HasNextView          uint8     `ch:"has_next_view"`
	NextViewedAt         time.Time `ch:"next_viewed_at"`
	NextSessionExpiresAt time.Time `ch:"next_session_expires_at"`
}

// viewDaysAfter is how far after a conversion a view is looked for.
const viewDaysAfter = 7

type nameRow struct {
	EventID string     `ch:"event_id"`
	From    time.Time  `ch:"valid_from"`
	To      *time.Time `ch:"valid_to"`
}

// Explain looks up a conversion. An Explanation without copies means that none was
// received; its history then has the adjustments that wait for it. now says when a pending one will be decided.
func Explain(ctx context.Context, db *warehouse.DB, customerID, apiName, actionID string, now time.Time) (*Explanation, error) {
	e := &Explanation{CustomerID: customerID, APIName: apiName, ActionID: actionID, Copies: []Copy{}, History: []HistoryItem{}}
	key := warehouse.Params{"customer_id": customerID, "api_name": apiName, "action_id": actionID}
	var copies []copyRow
	if err := db.Select(ctx, &copies, sql.Report("explain_copies").SQL, key); err != nil {
		return nil, fmt.Errorf("look up the conversion: %w", err)
	}
	var attributions []attributionRow
	if err := db.Select(ctx, &attributions, sql.Report("explain_attributions").SQL, key); err != nil {
		return nil, fmt.Errorf("look up the attributions: %w", err)
	}
	names, rules, err := intervalsOf(ctx, db, customerID, apiName)
	if err != nil {
		return nil, fmt.Errorf("look up the rule: %w", err)
	}
	for _, row := range copies {
		c := row.copy(attributions)
		x := explainer{Explanation: e, db: db, copy: &c, now: now, names: names}
		x.takeRule(rules)
		if c.Reason, err = x.reason(ctx, copies[0]); err != nil {
			return nil, fmt.Errorf("look up the reason: %w", err)
		}
		if c.Hints, err = x.hints(ctx, copies); err != nil {
			return nil, fmt.Errorf("look for near misses: %w", err)
		}
		e.Copies = append(e.Copies, c)
	}
	if err := e.addHistory(ctx, db, copies); err != nil {
		return nil, fmt.Errorf("look up the history: %w", err)
	}
	return e, nil
}

func (row copyRow) copy(attributions []attributionRow) Copy {
	c := Copy{
		IngestID: row.IngestID, UserDomain: row.UserDomain, UserID: row.UserID, ActionTimestamp: row.ActionAt.UnixMilli(),
		ReceivedAt: row.ReceivedAt.UnixMilli(), Outcome: row.Outcome, Attributions: []Attribution{},
	}
	c.Value = decimalText(row.Value)
	for _, a := range attributions {
		if a.IngestID == row.IngestID {
			credit := Attribution{OptimizationID: a.OptimizationID, VariationID: a.VariationID, VisitorID: a.VisitorID, ViewedAt: a.ViewedAt.UnixMilli()}
			if a.SessionStartedAt != nil {
				credit.SessionStartedAt = new(a.SessionStartedAt.UnixMilli())
			}
			c.Attributions = append(c.Attributions, credit)
		}
	}
	return c
}
