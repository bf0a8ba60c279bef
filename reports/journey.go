package reports

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Journey is what a conversion's user did around it, as the last run knew it. Times are
// Unix milliseconds.
type Journey struct {
	Visitors []JourneyVisitor `json:"visitors"`
}

// JourneyVisitor is a browser that has called setUserId with the user's id.
type JourneyVisitor struct {
	VisitorID string           `json:"visitorId"`
	LinkedAt  int64            `json:"linkedAt"` // when its first identify was received (R2)
	Sessions  []JourneySession `json:"sessions"`
	Events    []JourneyEvent   `json:"events"` // in order of time
}

// JourneySession is a session (R1) near the conversion.
type JourneySession struct {
	StartedAt   int64 `json:"startedAt"`
	LastEventAt int64 `json:"lastEventAt"`
	ExpiresAt   int64 `json:"expiresAt"`
}

// JourneyEvent is a view or an identify.
type JourneyEvent struct {
	Type           string `json:"type"`
	OccurredAt     int64  `json:"occurredAt"`
	ReceivedAt     int64  `json:"receivedAt"`
	OptimizationID string `json:"optimizationId,omitempty"`
	VariationID    string `json:"variationId,omitempty"`
	UserDomain     string `json:"userDomain,omitempty"`
	UserID         string `json:"userId,omitempty"`
}

const (
	journeyVisitors = 5                  // shown at most: those that came nearest
	journeyMargin   = time.Hour          // before the first and after the last moment that matters
	journeyReach    = 8 * 24 * time.Hour // how far before the conversion it goes at most
)

// ConversionJourney finds the visitors that a copy of a conversion may belong to, with
// their sessions, views and identities from the last session before it on.
func ConversionJourney(ctx context.Context, db *warehouse.DB, customerID string, c Copy) (*Journey, error) {
	cutoff, err := jobs.PublishedCutoff(ctx, db)
	if err != nil {
		return nil, err
	}
	at := time.UnixMilli(c.ActionTimestamp).UTC()
	var visitors []visitorRow
	err = db.Select(ctx, &visitors, sql.Report("explain_visitors").SQL, warehouse.Params{
		"customer_id": customerID, "user_domain": c.UserDomain, "user_id": c.UserID,
		"action_at": warehouse.Time(at), "cutoff": warehouse.Time(atLeastEpoch(cutoff)),
	})
	if err != nil {
		return nil, fmt.Errorf("look for the visitors: %w", err)
	}
	j := &Journey{Visitors: []JourneyVisitor{}}
	from, to := at, at.Add(journeyMargin)
	index := map[string]int{}
	var ids []string
	for _, v := range visitors[:min(len(visitors), journeyVisitors)] {
		index[v.VisitorID] = len(ids)
		ids = append(ids, v.VisitorID)
		j.Visitors = append(j.Visitors, JourneyVisitor{
			VisitorID: v.VisitorID, LinkedAt: v.LinkedAt.UnixMilli(), Sessions: []JourneySession{}, Events: []JourneyEvent{},
		})
		for _, moment := range []time.Time{v.ViewedAt, v.SessionStartedAt, v.LinkedAt} {
			if moment.Before(from) && at.Sub(moment) < journeyReach {
				from = moment
			}
		}
		if v.LinkedAt.After(to) && v.LinkedAt.Sub(at) < journeyReach {
			to = v.LinkedAt.Add(journeyMargin)
		}
	}
	if len(ids) == 0 {
		return j, nil
	}
	window := warehouse.Params{
		"customer_id": customerID, "visitors": ids, "cutoff": warehouse.Time(atLeastEpoch(cutoff)),
		"from_at": warehouse.Time(from.Add(-journeyMargin)), "to_at": warehouse.Time(to),
	}
	return j, j.fill(ctx, db, index, window)
}

func (j *Journey) fill(ctx context.Context, db *warehouse.DB, index map[string]int, window warehouse.Params) error {
	var sessions []struct {
		VisitorID   string    `ch:"visitor_id"`
		StartedAt   time.Time `ch:"started_at"`
		LastEventAt time.Time `ch:"last_event_at"`
		ExpiresAt   time.Time `ch:"expires_at"`
		Events      uint32    `ch:"events"`
		Views       uint32    `ch:"views"`
	}
	query := sql.Report("journey_sessions").SQL
	if err := db.Select(ctx, &sessions, query, window.For(query)); err != nil {
		return fmt.Errorf("look for the sessions: %w", err)
	}
	for _, s := range sessions {
		v := &j.Visitors[index[s.VisitorID]]
		v.Sessions = append(v.Sessions, JourneySession{s.StartedAt.UnixMilli(), s.LastEventAt.UnixMilli(), s.ExpiresAt.UnixMilli()})
	}
	var events []struct {
		VisitorID      string    `ch:"visitor_id"`
		Type           string    `ch:"type"`
		OptimizationID string    `ch:"optimization_id"`
		VariationID    string    `ch:"variation_id"`
		UserDomain     string    `ch:"user_domain"`
		UserID         string    `ch:"user_id"`
		OccurredAt     time.Time `ch:"occurred_at"`
		ReceivedAt     time.Time `ch:"received_at"`
	}
	query = sql.Report("journey_events").SQL
	if err := db.Select(ctx, &events, query, window.For(query)); err != nil {
		return fmt.Errorf("look for the views: %w", err)
	}
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		v := &j.Visitors[index[e.VisitorID]]
		v.Events = append(v.Events, JourneyEvent{
			Type: e.Type, OccurredAt: e.OccurredAt.UnixMilli(), ReceivedAt: e.ReceivedAt.UnixMilli(),
			OptimizationID: e.OptimizationID, VariationID: e.VariationID, UserDomain: e.UserDomain, UserID: e.UserID,
		})
	}
	return nil
}
