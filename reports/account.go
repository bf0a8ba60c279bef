package reports

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/refuse"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// OutcomeNames are the outcomes of R6, in the order in which they are looked for.
var OutcomeNames = []string{
	"duplicate", "retracted", "event_not_defined", "no_identity", "identity_too_late", "no_view_before", "session_expired", "attributed",
}

// OutcomeDay is a day of an account: how many conversions were received for it, and what
// became of them.
type OutcomeDay struct {
	Day      string            `json:"day"` // YYYY-MM-DD
	Received uint64            `json:"received"`
	Outcomes map[string]uint64 `json:"outcomes"` // by the names of R6
}

// AccountOutcomes returns the days of a range that conversions were received for, the
// last one first, as the last run published them.
func AccountOutcomes(ctx context.Context, db *warehouse.DB, customerID string, days Days) ([]OutcomeDay, error) {
	var rows []struct {
		Day         time.Time `ch:"day"`
		Outcome     string    `ch:"outcome"`
		Conversions uint64    `ch:"conversions"`
	}
	if err := db.Select(ctx, &rows, sql.Report("account_outcomes").SQL, rangeParams(customerID, days)); err != nil {
		return nil, fmt.Errorf("count outcomes: %w", err)
	}
	list := []OutcomeDay{}
	for _, row := range rows {
		day := warehouse.Day(row.Day)
		if len(list) == 0 || list[len(list)-1].Day != day {
			list = append(list, OutcomeDay{Day: day, Outcomes: map[string]uint64{}})
		}
		last := &list[len(list)-1]
		last.Outcomes[row.Outcome] += row.Conversions
		last.Received += row.Conversions
	}
	return list, nil
}

// Waiting counts the conversions of an account received since the cutoff, which the next
// run decides.
func Waiting(ctx context.Context, db *warehouse.DB, customerID string, cutoff time.Time) (conversions uint64, err error) {
	params := warehouse.Params{"customer_id": customerID, "cutoff": warehouse.Time(atLeastEpoch(cutoff))}
	if err := db.Row(ctx, sql.Report("account_waiting").SQL, params, &conversions); err != nil {
		return 0, fmt.Errorf("count what waits: %w", err)
	}
	return conversions, nil
}

// ListedConversion is a row of AccountConversions. Times are Unix milliseconds.
type ListedConversion struct {
	Day             string      `json:"day"`
	APIName         string      `json:"apiName"`
	ActionID        string      `json:"actionId"`
	UserDomain      string      `json:"userDomain"`
	UserID          string      `json:"userId"`
	Value           json.Number `json:"value,omitempty"` // as received, empty where there was none
	ActionTimestamp int64       `json:"actionTimestamp"`
	ReceivedAt      int64       `json:"receivedAt"`
	Outcome         string      `json:"outcome"`
	Credits         []Credit    `json:"credits"` // the variations that it is attributed to
}

// Credit is a variation that a conversion is attributed to.
type Credit struct {
	OptimizationID string `json:"optimizationId"`
	VariationID    string `json:"variationId"`
}

// CreditText names the variations, as hero: b.
func (c *ListedConversion) CreditText() string {
	var texts []string
	for _, credit := range c.Credits {
		texts = append(texts, credit.OptimizationID+": "+credit.VariationID)
	}
	return strings.Join(texts, ", ")
}

// CheckOutcome refuses what is no outcome; empty stands for all.
func CheckOutcome(outcome string) error {
	if outcome == "" || slices.Contains(OutcomeNames, outcome) {
		return nil
	}
	return refuse.Invalidf("%q is not an outcome; there are %s", outcome, strings.Join(OutcomeNames, ", "))
}

// ConversionFilter says which conversions are listed; its empty parts mean all.
type ConversionFilter struct {
	Days                     Days
	Outcome, APIName, UserID string
	LeastValue               string // a decimal number
	Limit, Offset            uint32
}

// AccountConversions lists conversions, the last ones first.
func AccountConversions(ctx context.Context, db *warehouse.DB, customerID string, f ConversionFilter) ([]ListedConversion, error) {
	if _, err := decimal.NewFromString(f.LeastValue); f.LeastValue != "" && err != nil {
		return nil, refuse.Invalidf("value is %q, and must be a number", f.LeastValue)
	}
	var rows []struct {
		Day           time.Time        `ch:"day"`
		APIName       string           `ch:"api_name"`
		ActionID      string           `ch:"action_id"`
		UserDomain    string           `ch:"user_domain"`
		UserID        string           `ch:"user_id"`
		Value         *decimal.Decimal `ch:"value"`
		ConvertedAt   time.Time        `ch:"converted_at"`
		ReceivedAt    time.Time        `ch:"received_at"`
		Outcome       string           `ch:"outcome"`
		Optimizations []string         `ch:"optimizations"`
		Variations    []string         `ch:"variations"`
	}
	params := rangeParams(customerID, f.Days).With("outcome", f.Outcome).With("api_name", f.APIName).With("user_id", f.UserID).
		With("least_value", f.LeastValue).With("limit", f.Limit).With("offset", f.Offset)
	if err := db.Select(ctx, &rows, sql.Report("account_conversions").SQL, params); err != nil {
		return nil, fmt.Errorf("list conversions: %w", err)
	}
	list := make([]ListedConversion, len(rows))
	for i, row := range rows {
		list[i] = ListedConversion{
			Day: warehouse.Day(row.Day), APIName: row.APIName, ActionID: row.ActionID, UserDomain: row.UserDomain, UserID: row.UserID,
			ActionTimestamp: row.ConvertedAt.UnixMilli(), ReceivedAt: row.ReceivedAt.UnixMilli(), Outcome: row.Outcome, Credits: []Credit{},
		}
		if row.Value != nil {
			list[i].Value = json.Number(row.Value.String())
		}
		for k := range row.Optimizations {
			list[i].Credits = append(list[i].Credits, Credit{row.Optimizations[k], row.Variations[k]})
		}
	}
	return list, nil
}

// Activity is what has come from an account since a moment. Times are Unix milliseconds,
// 0 for never.
type Activity struct {
	Views             uint64 `json:"views"`
	Identifies        uint64 `json:"identifies"`
	LastClientEventAt int64  `json:"lastClientEventAt"`
	Conversions       uint64 `json:"conversions"`
	LastConversionAt  int64  `json:"lastConversionAt"`
}

// AccountActivity counts what has reached ClickHouse since a moment.
func AccountActivity(ctx context.Context, db *warehouse.DB, customerID string, since time.Time) (a Activity, err error) {
	var client, conversion time.Time
	params := warehouse.Params{"customer_id": customerID, "since": warehouse.Time(since)}
	err = db.Row(ctx, sql.Report("account_activity").SQL, params, &a.Views, &a.Identifies, &client, &a.Conversions, &conversion)
	if err != nil {
		return a, fmt.Errorf("look for events: %w", err)
	}
	a.LastClientEventAt, a.LastConversionAt = client.UnixMilli(), conversion.UnixMilli()
	return a, nil
}

// HasEvents reports whether anything has ever come from an account.
func HasEvents(ctx context.Context, db *warehouse.DB, customerID string) (bool, error) {
	var has uint8
	err := db.Row(ctx, `select exists(select 1 from client_events where customer_id = {customer_id:String} and type != 'activity')
		or exists(select 1 from conversions where customer_id = {customer_id:String})`, warehouse.Params{"customer_id": customerID}, &has)
	if err != nil {
		return false, fmt.Errorf("look for events: %w", err)
	}
	return has != 0, nil
}

// NothingReceived is nil where nothing has ever come from an account or for it, and says what has otherwise.
func NothingReceived(ctx context.Context, db *warehouse.DB, customerID string) error {
	var events, conversions, adjustments uint64
	err := db.Row(ctx, `select (select count() from client_events where customer_id = {customer_id:String}),
		(select count() from conversions where customer_id = {customer_id:String}), (select count() from adjustments where customer_id = {customer_id:String})`,
		warehouse.Params{"customer_id": customerID}, &events, &conversions, &adjustments)
	if err != nil {
		return fmt.Errorf("look for what was received: %w", err)
	}
	if events+conversions+adjustments == 0 {
		return nil
	}
	return refuse.Conflictf("account %s has %d client events, %d conversions and %d adjustments, so it can't be deleted; revoke its tokens and archive its events instead",
		customerID, events, conversions, adjustments)
}

// CatalogChange says who changed what, and when.
type CatalogChange struct {
	ChangedAt int64  `json:"changedAt"` // Unix milliseconds
	Source    string `json:"source"`
	Change    string `json:"change"`
}

// CatalogChanges returns the last changes of an account, the newest first.
func CatalogChanges(ctx context.Context, db *warehouse.DB, customerID string, limit uint32) ([]CatalogChange, error) {
	var rows []struct {
		ChangedAt time.Time `ch:"changed_at"`
		Source    string    `ch:"source"`
		Change    string    `ch:"change"`
	}
	params := warehouse.Params{"customer_id": customerID, "limit": limit}
	if err := db.Select(ctx, &rows, sql.Report("account_changes").SQL, params); err != nil {
		return nil, fmt.Errorf("read the changes: %w", err)
	}
	changes := make([]CatalogChange, len(rows))
	for i, row := range rows {
		changes[i] = CatalogChange{row.ChangedAt.UnixMilli(), row.Source, row.Change}
	}
	return changes, nil
}

// TrendDay is a variation's day.
type TrendDay struct {
	Day         string `json:"day"` // YYYY-MM-DD
	VariationID string `json:"variation_id"`
	Visitors    uint64 `json:"visitors"`
	Conversions uint64 `json:"conversions"`
	Converters  uint64 `json:"converters"`
}

// Trend returns the days of an optimization's range for one of its goal events, in their order.
// A visitor of two days counts on each.
func Trend(ctx context.Context, db *warehouse.DB, customerID, optimizationID, eventID string, days Days) ([]TrendDay, error) {
	var rows []struct {
		Day         time.Time `ch:"day"`
		VariationID string    `ch:"variation_id"`
		Visitors    uint64    `ch:"visitors"`
		Conversions uint64    `ch:"conversions"`
		Converters  uint64    `ch:"converters"`
	}
	params := rangeParams(customerID, days).With("optimization_id", optimizationID).With("event_id", eventID)
	if err := db.Select(ctx, &rows, sql.Results("trend").SQL, params); err != nil {
		return nil, fmt.Errorf("compute the trend: %w", err)
	}
	trend := make([]TrendDay, len(rows))
	for i, row := range rows {
		trend[i] = TrendDay{Day: warehouse.Day(row.Day), VariationID: row.VariationID, Visitors: row.Visitors, Conversions: row.Conversions, Converters: row.Converters}
	}
	return trend, nil
}

func rangeParams(customerID string, days Days) warehouse.Params {
	return warehouse.Params{"customer_id": customerID, "from_day": warehouse.Day(days.From), "to_day": warehouse.Day(days.To)}
}

// atLeastEpoch holds the zero time to what ClickHouse can store.
func atLeastEpoch(t time.Time) time.Time {
	if t.Before(time.UnixMilli(0)) {
		return time.UnixMilli(0).UTC()
	}
	return t
}
