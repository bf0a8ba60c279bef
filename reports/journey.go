package reports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Journey is what a conversion's user did around it: as the last run knew it, or of a
// conversion that is not decided yet, as far as it has come. Times are Unix milliseconds.
type Journey struct {
	Visitors []JourneyVisitor `json:"visitors"`
	// VisitorsLeftOut and EventsLeftOut say that there is more than is shown here.
	VisitorsLeftOut int  `json:"visitorsLeftOut"`
	EventsLeftOut   bool `json:"eventsLeftOut"`
}

// JourneyVisitor is a browser that has called setUserId with the user's id.
type JourneyVisitor struct {
	VisitorID string           `json:"visitorId"`
	LinkedAt  int64            `json:"linkedAt"` // when its first identify happened (R2)
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
	journeyVisitors = 5                  // shown at most
	journeyEvents   = 200                // shown at most
	journeyMargin   = time.Hour          // before the first and after the last moment that matters
	journeyReach    = 8 * 24 * time.Hour // how far from the conversion it goes at most, but for a longer window
)

// ConversionJourney finds the visitors that a copy of a conversion may belong to, with
// their sessions, views and identities from the last session before it on. Visitors that
// it is attributed to come first, then those whose last view is the newest.
func ConversionJourney(ctx context.Context, db *warehouse.DB, customerID string, c Copy, now time.Time) (*Journey, error) {
	cutoff, err := jobs.PublishedCutoff(ctx, db)
	if err != nil {
		return nil, err
	}
	if c.Outcome == outcomePending {
		cutoff = now.Add(journeyMargin)
	}
	at := time.UnixMilli(c.ActionTimestamp).UTC()
	visitors, err := visitorsOf(ctx, db, customerID, c, cutoff)
	if err != nil {
		return nil, fmt.Errorf("look for the visitors: %w", err)
	}
	visitors = nearestFirst(visitors, c)
	j := &Journey{Visitors: []JourneyVisitor{}, VisitorsLeftOut: max(0, len(visitors)-journeyVisitors)}
	from, to := at, at.Add(journeyMargin)
	reach := max(journeyReach, c.window()+journeyMargin)
	for _, a := range c.Attributions {
		if viewed := time.UnixMilli(a.ViewedAt); viewed.Before(from) {
			from = viewed.UTC()
		}
	}
	for _, v := range visitors[:len(visitors)-j.VisitorsLeftOut] {
		j.Visitors = append(j.Visitors, JourneyVisitor{
			VisitorID: v.VisitorID, LinkedAt: v.LinkedAt.UnixMilli(), Sessions: []JourneySession{}, Events: []JourneyEvent{},
		})
		for _, moment := range []time.Time{v.ViewedAt, v.SessionStartedAt, v.LinkedAt} {
			if moment.Before(from) && at.Sub(moment) < reach {
				from = moment
			}
		}
		if v.LinkedAt.After(to) && v.LinkedAt.Sub(at) < journeyReach {
			to = v.LinkedAt.Add(journeyMargin)
		}
	}
	if len(j.Visitors) == 0 {
		return j, nil
	}
	window := warehouse.Params{
		"customer_id": customerID, "cutoff": warehouse.Time(atLeastEpoch(cutoff)), "action_at": warehouse.Time(at),
		"from_at": warehouse.Time(from.Add(-journeyMargin)), "to_at": warehouse.Time(to), "limit": journeyEvents + 1,
	}
	if err := j.addSessions(ctx, db, window); err != nil {
		return nil, err
	}
	return j, j.addEvents(ctx, db, window, c)
}

// window is how long before the conversion views count, 0 under session.
func (c Copy) window() time.Duration {
	if c.Rule == nil {
		return 0
	}
	rule, _ := catalog.ParseRule(c.Rule.Window, c.Rule.Credit) // it is one
	return time.Duration(rule.WindowDays) * 24 * time.Hour
}

// WindowFrom is when the window of days begins that the conversion had, 0 for none.
func (c Copy) WindowFrom() int64 {
	if c.window() == 0 {
		return 0
	}
	return c.ActionTimestamp - c.window().Milliseconds()
}

func nearestFirst(visitors []visitorRow, c Copy) []visitorRow {
	attributed := map[string]int{}
	for _, a := range c.Attributions {
		attributed[a.VisitorID] = -1
	}
	slices.SortStableFunc(visitors, func(a, b visitorRow) int {
		return cmp.Or(attributed[a.VisitorID]-attributed[b.VisitorID], b.ViewedAt.Compare(a.ViewedAt), cmp.Compare(a.VisitorID, b.VisitorID))
	})
	return visitors
}

// in adds the ids of the visitors to the parameters.
func (j *Journey) in(window warehouse.Params) (params warehouse.Params, of map[string]*JourneyVisitor) {
	of = map[string]*JourneyVisitor{}
	var ids []string
	for i := range j.Visitors {
		v := &j.Visitors[i]
		ids = append(ids, v.VisitorID)
		of[v.VisitorID] = v
	}
	return window.With("visitors", ids), of
}

func (j *Journey) addSessions(ctx context.Context, db *warehouse.DB, window warehouse.Params) error {
	var sessions []struct {
		VisitorID   string    `ch:"visitor_id"`
		StartedAt   time.Time `ch:"started_at"`
		LastEventAt time.Time `ch:"last_event_at"`
		ExpiresAt   time.Time `ch:"expires_at"`
	}
	params, of := j.in(window)
	query := sql.Report("journey_sessions").SQL
	if err := db.Select(ctx, &sessions, query, params.For(query)); err != nil {
		return fmt.Errorf("look for the sessions: %w", err)
	}
	for _, s := range sessions {
		v := of[s.VisitorID]
		v.Sessions = append(v.Sessions, JourneySession{s.StartedAt.UnixMilli(), s.LastEventAt.UnixMilli(), s.ExpiresAt.UnixMilli()})
	}
	return nil
}

func (j *Journey) addEvents(ctx context.Context, db *warehouse.DB, window warehouse.Params, c Copy) error {
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
	params, of := j.in(window)
	query := sql.Report("journey_events").SQL
	if err := db.Select(ctx, &events, query, params.For(query)); err != nil {
		return fmt.Errorf("look for the views: %w", err)
	}
	if j.EventsLeftOut = len(events) > journeyEvents; j.EventsLeftOut {
		events = events[:journeyEvents]
	}
	for _, e := range events {
		v := of[e.VisitorID]
		v.Events = append(v.Events, JourneyEvent{
			Type: e.Type, OccurredAt: e.OccurredAt.UnixMilli(), ReceivedAt: e.ReceivedAt.UnixMilli(),
			OptimizationID: e.OptimizationID, VariationID: e.VariationID, UserDomain: e.UserDomain, UserID: e.UserID,
		})
	}
	// The views that count are shown however many lie nearer.
	for _, a := range c.Attributions {
		v := of[a.VisitorID]
		if v != nil && !slices.ContainsFunc(v.Events, func(e JourneyEvent) bool {
			return e.OccurredAt == a.ViewedAt && e.OptimizationID == a.OptimizationID && e.VariationID == a.VariationID
		}) {
			v.Events = append(v.Events, JourneyEvent{Type: "view", OccurredAt: a.ViewedAt, ReceivedAt: a.ViewedAt, OptimizationID: a.OptimizationID, VariationID: a.VariationID})
		}
	}
	for i := range j.Visitors {
		slices.SortStableFunc(j.Visitors[i].Events, func(a, b JourneyEvent) int { return cmp.Compare(a.OccurredAt, b.OccurredAt) })
	}
	return nil
}
