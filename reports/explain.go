// Package reports answers what people ask of the published tables.
package reports

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Explanation tells what became of one conversion, and why.
type Explanation struct {
	CustomerID string `json:"customerId"`
	APIName    string `json:"apiName"`
	ActionID   string `json:"actionId"`
	Copies     []Copy `json:"copies"` // every one received, the one that counts first
}

// Copy is one time that the conversion was received.
type Copy struct {
	IngestID        string        `json:"ingestId"`
	UserDomain      string        `json:"userDomain"`
	UserID          string        `json:"userId"`
	ActionTimestamp int64         `json:"actionTimestamp"`
	Value           *string       `json:"value,omitempty"`
	ReceivedAt      int64         `json:"receivedAt"`
	Outcome         string        `json:"outcome"`             // spec R6, or pending
	DecidedBy       *int64        `json:"decidedBy,omitempty"` // of a pending one: when the run that decides begins
	Reason          string        `json:"reason"`              // in words
	Facts           Facts         `json:"facts"`               // in figures
	Attributions    []Attribution `json:"attributions"`
}

// Facts decided the outcome of a conversion that was not attributed; those that
// played no part are left out. Times are Unix milliseconds.
type Facts struct {
	CountedIngestID    string       `json:"countedIngestId,omitempty"`    // of a duplicate: the copy that counts
	IdentityReceivedAt *int64       `json:"identityReceivedAt,omitempty"` // of the first identify of the user
	IdentityLateByMS   *int64       `json:"identityLateByMs,omitempty"`
	NearestView        *NearestView `json:"nearestView,omitempty"`
}

// NearestView is the last view before the conversion by a visitor linked in time.
type NearestView struct {
	VisitorID        string `json:"visitorId"`
	ViewedAt         int64  `json:"viewedAt"`
	SessionExpiredAt *int64 `json:"sessionExpiredAt,omitempty"`
	// MissedByMS is how much earlier the conversion would have had to happen: before
	// the session expired, or within 7 days of the view.
	MissedByMS int64 `json:"missedByMs"`
}

// Attribution is a row of attributions.
type Attribution struct {
	OptimizationID   string `json:"optimizationId"`
	VariationID      string `json:"variationId"`
	VisitorID        string `json:"visitorId"`
	SessionStartedAt int64  `json:"sessionStartedAt"`
	ViewedAt         int64  `json:"viewedAt"`
}

type copyRow struct {
	IngestID   string           `ch:"ingest_id"`
	UserDomain string           `ch:"user_domain"`
	UserID     string           `ch:"user_id"`
	ActionAt   time.Time        `ch:"action_at"`
	Value      *decimal.Decimal `ch:"value"`
	ReceivedAt time.Time        `ch:"received_at"`
	Outcome    string           `ch:"outcome"`
}

type attributionRow struct {
	IngestID         string    `ch:"ingest_id"`
	OptimizationID   string    `ch:"optimization_id"`
	VariationID      string    `ch:"variation_id"`
	VisitorID        string    `ch:"visitor_id"`
	SessionStartedAt time.Time `ch:"session_started_at"`
	ViewedAt         time.Time `ch:"viewed_at"`
}

type visitorRow struct {
	VisitorID        string    `ch:"visitor_id"`
	LinkedAt         time.Time `ch:"linked_at"`
	HasView          uint8     `ch:"has_view"`
	ViewedAt         time.Time `ch:"viewed_at"`
	HasSession       uint8     `ch:"has_session"`
	SessionStartedAt time.Time `ch:"session_started_at"`
	SessionExpiresAt time.Time `ch:"session_expires_at"`
}

type nameRow struct {
	EventID string     `ch:"event_id"`
	From    time.Time  `ch:"valid_from"`
	To      *time.Time `ch:"valid_to"`
}

// Explain looks up a conversion. An Explanation without copies means that none was
// received; now tells when a pending one will be decided.
func Explain(ctx context.Context, db *warehouse.DB, customerID, apiName, actionID string, now time.Time) (*Explanation, error) {
	e := &Explanation{CustomerID: customerID, APIName: apiName, ActionID: actionID, Copies: []Copy{}}
	key := warehouse.Params{"customer_id": customerID, "api_name": apiName, "action_id": actionID}
	var copies []copyRow
	if err := db.Select(ctx, &copies, sql.Report("explain_copies").SQL, key); err != nil {
		return nil, fmt.Errorf("look up the conversion: %w", err)
	}
	var attributions []attributionRow
	if err := db.Select(ctx, &attributions, sql.Report("explain_attributions").SQL, key); err != nil {
		return nil, fmt.Errorf("look up the attributions: %w", err)
	}
	for _, row := range copies {
		c := row.copy(attributions)
		reason, err := e.reason(ctx, db, &c, copies[0], now)
		if err != nil {
			return nil, fmt.Errorf("look up the reason: %w", err)
		}
		c.Reason = reason
		e.Copies = append(e.Copies, c)
	}
	return e, nil
}

func (row copyRow) copy(attributions []attributionRow) Copy {
	c := Copy{
		IngestID: row.IngestID, UserDomain: row.UserDomain, UserID: row.UserID, ActionTimestamp: row.ActionAt.UnixMilli(),
		ReceivedAt: row.ReceivedAt.UnixMilli(), Outcome: row.Outcome, Attributions: []Attribution{},
	}
	if row.Value != nil {
		text := row.Value.String()
		c.Value = &text
	}
	for _, a := range attributions {
		if a.IngestID == row.IngestID {
			c.Attributions = append(c.Attributions, Attribution{
				OptimizationID: a.OptimizationID, VariationID: a.VariationID, VisitorID: a.VisitorID,
				SessionStartedAt: a.SessionStartedAt.UnixMilli(), ViewedAt: a.ViewedAt.UnixMilli(),
			})
		}
	}
	return c
}

// outcomePending is what a conversion has that no run has decided yet.
const outcomePending = "pending"

// reason says in words what decided the outcome.
func (e *Explanation) reason(ctx context.Context, db *warehouse.DB, c *Copy, first copyRow, now time.Time) (string, error) {
	switch c.Outcome {
	case outcomePending:
		// The first midnight after the receipt; one that became visible only after that
		// run waits for the next.
		next := jobs.LastMidnight(time.UnixMilli(c.ReceivedAt)).Add(24 * time.Hour)
		if !next.After(now) {
			next = jobs.LastMidnight(now).Add(24 * time.Hour)
		}
		at := next.UnixMilli()
		c.DecidedBy = &at
		return "not decided yet: the run at " + stamp(next) + " will", nil
	case "duplicate":
		c.Facts.CountedIngestID = first.IngestID
		return fmt.Sprintf("another copy with the same apiName and actionId was received first, at %s (%s)", stamp(first.ReceivedAt), first.IngestID), nil
	case "event_not_defined":
		return e.nameReason(ctx, db, time.UnixMilli(c.ActionTimestamp))
	case "attributed":
		return "it happened while a session was open that had seen a variation before; the last view of each optimization in it counts", nil
	default:
		return e.visitorReason(ctx, db, c)
	}
}

func (e *Explanation) nameReason(ctx context.Context, db *warehouse.DB, at time.Time) (string, error) {
	var names []nameRow
	err := db.Select(ctx, &names, sql.Report("explain_names").SQL, warehouse.Params{"customer_id": e.CustomerID, "api_name": e.APIName})
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return fmt.Sprintf("no event of the account has ever borne the name %q", e.APIName), nil
	}
	text := fmt.Sprintf("no event bore the name %q at %s; it was borne", e.APIName, stamp(at))
	for i, n := range names {
		if i > 0 {
			text += ", and"
		}
		text += fmt.Sprintf(" by %s from %s", n.EventID, stamp(n.From))
		if n.To != nil {
			text += " to " + stamp(*n.To)
		}
	}
	return text, nil
}

// visitorReason explains the outcomes that hang on who the user was and what they
// saw.
func (e *Explanation) visitorReason(ctx context.Context, db *warehouse.DB, c *Copy) (string, error) {
	recent, err := jobs.PublishedCutoff(ctx, db)
	if err != nil {
		return "", err
	}
	var visitors []visitorRow
	err = db.Select(ctx, &visitors, sql.Report("explain_visitors").SQL, warehouse.Params{
		"customer_id": e.CustomerID, "user_domain": c.UserDomain, "user_id": c.UserID,
		"action_at": warehouse.Time(time.UnixMilli(c.ActionTimestamp)), "cutoff": warehouse.Time(recent),
	})
	if err != nil {
		return "", err
	}
	user := fmt.Sprintf("(%s, %s)", c.UserDomain, c.UserID)
	if len(visitors) > 0 {
		linkedAt := visitors[0].LinkedAt.UnixMilli()
		c.Facts.IdentityReceivedAt = &linkedAt
	}
	switch c.Outcome {
	case "no_identity":
		return "no browser has called setUserId with " + user, nil
	case "identity_too_late":
		if len(visitors) == 0 {
			return "setUserId with " + user + " was received after the conversion", nil
		}
		late := visitors[0].LinkedAt.Sub(time.UnixMilli(c.ReceivedAt))
		lateMS := late.Milliseconds()
		c.Facts.IdentityLateByMS = &lateMS
		return fmt.Sprintf("setUserId with %s was first received at %s, %s after the conversion", user, stamp(visitors[0].LinkedAt), late), nil
	case "no_view_before":
		return noViewReason(c, visitors), nil
	default:
		return expiredReason(c, visitors), nil
	}
}

// viewLookback is how far back a view may lie (spec R6).
const viewLookback = 7 * 24 * time.Hour

func noViewReason(c *Copy, visitors []visitorRow) string {
	nearest, found := nearestView(c, visitors)
	if !found {
		return "no visitor known to be this user saw any variation before the conversion"
	}
	earlier := time.UnixMilli(c.ActionTimestamp).Sub(nearest.ViewedAt)
	c.Facts.NearestView = &NearestView{
		VisitorID: nearest.VisitorID, ViewedAt: nearest.ViewedAt.UnixMilli(), MissedByMS: (earlier - viewLookback).Milliseconds(),
	}
	return fmt.Sprintf("the last view before it, at %s by visitor %s, was %s earlier, more than 7 days",
		stamp(nearest.ViewedAt), nearest.VisitorID, earlier)
}

func expiredReason(c *Copy, visitors []visitorRow) string {
	nearest, found := nearestView(c, visitors)
	if !found {
		return "no view lies in a session that was open at the conversion"
	}
	at := time.UnixMilli(c.ActionTimestamp)
	c.Facts.NearestView = &NearestView{VisitorID: nearest.VisitorID, ViewedAt: nearest.ViewedAt.UnixMilli()}
	if nearest.HasSession == 0 || at.Before(nearest.SessionExpiresAt) {
		return fmt.Sprintf("the last view, at %s by visitor %s, lies in an earlier session than the one that was open at the conversion",
			stamp(nearest.ViewedAt), nearest.VisitorID)
	}
	expiredAt := nearest.SessionExpiresAt.UnixMilli()
	c.Facts.NearestView.SessionExpiredAt, c.Facts.NearestView.MissedByMS = &expiredAt, at.Sub(nearest.SessionExpiresAt).Milliseconds()+1
	return fmt.Sprintf("the last view, at %s by visitor %s, lies in a session that expired at %s, %s before the conversion",
		stamp(nearest.ViewedAt), nearest.VisitorID, stamp(nearest.SessionExpiresAt), at.Sub(nearest.SessionExpiresAt))
}

// nearestView picks the usable visitor whose last view came nearest.
func nearestView(c *Copy, visitors []visitorRow) (nearest visitorRow, found bool) {
	for _, v := range visitors {
		usable := v.LinkedAt.UnixMilli() <= c.ReceivedAt && v.HasView != 0
		if usable && (!found || v.ViewedAt.After(nearest.ViewedAt)) {
			nearest, found = v, true
		}
	}
	return nearest, found
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }
