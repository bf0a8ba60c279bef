package reports

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// Flags are what comes in and is probably not meant so. Nothing is lost by it, but figures will
// not be what their readers think.
type Flags struct {
	CrowdedUsers   []CrowdedUser   `json:"crowdedUsers"`
	DroppedEvents  []DroppedReason `json:"droppedEvents"`  // of the last 7 days
	UndefinedNames []UndefinedName `json:"undefinedNames"` // of the last 30 days
	// WaitingAdjustments name conversions that were not received (R10).
	WaitingAdjustments []WaitingAdjustments `json:"waitingAdjustments"`
}

// WaitingAdjustments are those under one name.
type WaitingAdjustments struct {
	CustomerID     string    `json:"customerId" ch:"customer_id"`
	APIName        string    `json:"apiName" ch:"api_name"`
	Conversions    uint64    `json:"conversions" ch:"conversions"`     // that are named
	LastActionID   string    `json:"lastActionId" ch:"last_action_id"` // of the one received last
	LastReceivedAt time.Time `json:"-" ch:"last_received_at"`
	All            uint64    `json:"-" ch:"all_conversions"` // under all names
}

// CrowdedUser is a user id that very many visitors are linked to.
type CrowdedUser struct {
	CustomerID string `json:"customerId" ch:"customer_id"`
	UserDomain string `json:"userDomain" ch:"user_domain"`
	UserID     string `json:"userId" ch:"user_id"`
	Visitors   uint64 `json:"visitors" ch:"visitors"`
}

// DroppedReason counts browser events that were not stored.
type DroppedReason struct {
	CustomerID string `json:"customerId" ch:"customer_id"`
	Reason     string `json:"reason" ch:"reason"`
	Events     uint64 `json:"events" ch:"events"`
}

// UndefinedName is a name that conversions came under and no event bore.
type UndefinedName struct {
	CustomerID      string    `json:"customerId" ch:"customer_id"`
	APIName         string    `json:"apiName" ch:"api_name"`
	Conversions     uint64    `json:"conversions" ch:"conversions"`
	LastConvertedAt time.Time `json:"-" ch:"last_converted_at"`
}

const (
	// crowd is how many visitors one user id may have before it is flagged: more than a person
	// has devices and cleared browsers.
	crowd = 50

	droppedDays   = 7
	undefinedDays = 30
)

// AccountFlags returns those of an account, or of all where customerID is empty.
func AccountFlags(ctx context.Context, db *warehouse.DB, customerID string, now time.Time) (*Flags, error) {
	f := &Flags{CrowdedUsers: []CrowdedUser{}, DroppedEvents: []DroppedReason{}, UndefinedNames: []UndefinedName{}, WaitingAdjustments: []WaitingAdjustments{}}
	cutoff, err := jobs.PublishedCutoff(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("look at what comes in: %w", err)
	}
	account := warehouse.Params{"customer_id": customerID}
	now = now.UTC()
	for _, look := range []struct {
		into   any
		report string
		params warehouse.Params
	}{
		{&f.CrowdedUsers, sql.Report("crowded_users").SQL, account.With("least_visitors", crowd)},
		{&f.DroppedEvents, sql.Report("dropped_reasons").SQL, account.With("since", warehouse.Time(now.AddDate(0, 0, -droppedDays)))},
		{&f.UndefinedNames, sql.Report("undefined_names").SQL, account.With("from_day", warehouse.Day(now.AddDate(0, 0, -undefinedDays))).With("cutoff", warehouse.Time(atLeastEpoch(cutoff)))},
		{&f.WaitingAdjustments, sql.Report("waiting_adjustments").SQL, account},
	} {
		if err := db.Select(ctx, look.into, look.report, look.params); err != nil {
			return nil, fmt.Errorf("look at what comes in: %w", err)
		}
	}
	return f, nil
}

// AdjustmentsWaiting counts the conversions that adjustments name and that were not received.
func AdjustmentsWaiting(ctx context.Context, db *warehouse.DB) (uint64, error) {
	var rows []WaitingAdjustments
	if err := db.Select(ctx, &rows, sql.Report("waiting_adjustments").SQL, warehouse.Params{"customer_id": ""}); err != nil {
		return 0, fmt.Errorf("look for adjustments that wait: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	return rows[0].All, nil
}

// Texts says each in words, those of one kind in a row.
func (f *Flags) Texts() (crowded, dropped, undefined, waiting []string) {
	for _, u := range f.CrowdedUsers {
		crowded = append(crowded, fmt.Sprintf("account %s: %d visitors are the user %s", human.Quote(u.CustomerID), u.Visitors, userText(u.UserDomain, u.UserID)))
	}
	for _, d := range f.DroppedEvents {
		dropped = append(dropped, fmt.Sprintf("account %s: %s (%s)", human.Quote(d.CustomerID), human.Count(int64(d.Events), "browser event"), d.Reason))
	}
	for _, n := range f.UndefinedNames {
		undefined = append(undefined, fmt.Sprintf("account %s: %s under the name %s, the last at %s",
			human.Quote(n.CustomerID), human.Count(int64(n.Conversions), "conversion"), human.Quote(n.APIName), human.Moment(n.LastConvertedAt)))
	}
	for _, w := range f.WaitingAdjustments {
		waiting = append(waiting, fmt.Sprintf("account %s: adjustments of %s under the name %s, the last of actionId %s at %s",
			human.Quote(w.CustomerID), human.Count(int64(w.Conversions), "conversion"), human.Quote(w.APIName), human.Quote(w.LastActionID), human.Moment(w.LastReceivedAt)))
	}
	return crowded, dropped, undefined, waiting
}
