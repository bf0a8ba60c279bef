// Package catalog keeps what an account has configured: accounts, tokens, events
// and the names they bore over time, optimizations with variations and goals.
//
// Everything is read whole into a [Snapshot] and changed through [Store.Change],
// one change at a time, so that a rule over several rows (a name belongs to at most
// one event, R3) holds. Rows are appended; of each key the highest version counts that
// is in catalog_changes, which is written last: a change that was cut off is none.
package catalog

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/refuse"
)

// Account is one customer.
type Account struct {
	CustomerID string    `ch:"customer_id"`
	Origins    []string  `ch:"origins"` // that its browsers may send from; none means any
	CreatedAt  time.Time `ch:"created_at"`
	IsDeleted  bool      `ch:"is_deleted"`
	Version    uint64    `ch:"version"`
}

// EventName is an interval in which an event bore a name: From is inclusive, To
// exclusive, and nil while it bears it (R3).
type EventName struct {
	CustomerID string     `ch:"customer_id"`
	EventID    string     `ch:"event_id"`
	APIName    string     `ch:"api_name"`
	From       time.Time  `ch:"valid_from"`
	To         *time.Time `ch:"valid_to"`
	IsDeleted  bool       `ch:"is_deleted"`
	Version    uint64     `ch:"version"`
}

// Rule is how conversions of an event are attributed (R4).
type Rule struct {
	WindowDays uint16 `ch:"window_days"` // how many days before a conversion views count, 0 for those of the open session
	Credit     string `ch:"credit"`      // which of them gets the credit, CreditLast or CreditFirst
}

// Which of the views that count gets the credit (R4): the one seen last, or first.
const (
	CreditLast  = "last"
	CreditFirst = "first"
)

// DefaultRule holds where nothing else was set (R3).
var DefaultRule = Rule{Credit: CreditLast}

// EventRule is an interval in which an event had a rule: From is inclusive, To exclusive,
// and nil while it holds (R3).
type EventRule struct {
	CustomerID string `ch:"customer_id"`
	EventID    string `ch:"event_id"`
	Rule
	From      time.Time  `ch:"valid_from"`
	To        *time.Time `ch:"valid_to"`
	IsDeleted bool       `ch:"is_deleted"` // another one took its place
	Version   uint64     `ch:"version"`
}

// Optimization is an A/B test or personalization.
type Optimization struct {
	CustomerID     string `ch:"customer_id"`
	OptimizationID string `ch:"optimization_id"`
	Name           string `ch:"name"`
	// PlannedVisitors is how many are planned to be compared, over all variations (R11, its N*).
	PlannedVisitors uint64 `ch:"planned_visitors"`
	IsDeleted       bool   `ch:"is_deleted"`
	Version         uint64 `ch:"version"`
}

// Variation is one of the versions that an optimization shows.
type Variation struct {
	CustomerID     string  `ch:"customer_id"`
	OptimizationID string  `ch:"optimization_id"`
	VariationID    string  `ch:"variation_id"`
	Name           string  `ch:"name"`
	IsBaseline     bool    `ch:"is_baseline"`
	Weight         float64 `ch:"weight"` // share of the traffic, relative to the others
	Position       uint32  `ch:"position"`
	IsDeleted      bool    `ch:"is_deleted"`
	Version        uint64  `ch:"version"`
}

// Goal is an event attached to an optimization.
type Goal struct {
	CustomerID     string `ch:"customer_id"`
	OptimizationID string `ch:"optimization_id"`
	EventID        string `ch:"event_id"`
	IsPrimary      bool   `ch:"is_primary"`
	// MDEPercent is the smallest lift worth finding, in per cent (R11).
	MDEPercent float64 `ch:"mde_percent"`
	IsDeleted  bool    `ch:"is_deleted"`
	Version    uint64  `ch:"version"`
}

// Snapshot is the whole catalog at one version. It is not changed once it is made.
type Snapshot struct {
	Version       uint64
	Accounts      map[string]Account
	Tokens        map[string]Token                           // by public prefix
	Names         map[string][]EventName                     // by account, in order of From
	Rules         map[string]map[string][]EventRule          // by account, event, in order of From
	Optimizations map[string]map[string]Optimization         // by account, id
	Variations    map[string]map[string]map[string]Variation // by account, optimization, id
	Goals         map[string]map[string]map[string]Goal      // by account, optimization, event

	indexOnce sync.Once
	index     nameIndex
}

// ErrInvalidToken says that a token is malformed, unknown or revoked.
var ErrInvalidToken = errors.New("no such token")

// What holds where nobody said otherwise (R11).
const (
	DefaultPlannedVisitors = 5000
	DefaultMDEPercent      = 10
)

// MostPlannedVisitors is how many can be planned: more than any page has.
const MostPlannedVisitors = 1_000_000_000

// MaxIDBytes bounds every id and name, as docs/openapi.yaml has it for events.
const MaxIDBytes = 256

func checkID(what, id string) error {
	switch {
	case id == "":
		return refuse.Invalidf("%s must not be empty", what)
	case len(id) > MaxIDBytes:
		return refuse.Invalidf("%s has %d bytes, at most %d are allowed", what, len(id), MaxIDBytes)
	}
	return nil
}

// CheckAccount refuses an account that is not there.
func (s *Snapshot) CheckAccount(customerID string) error {
	if _, known := s.Accounts[customerID]; !known {
		return refuse.NotFoundf("there is no account %s", human.Quote(customerID)).Try("`tieback account list` shows all")
	}
	return nil
}

// TokensOf lists an account's tokens, revoked ones too, in the order of their making.
func (s *Snapshot) TokensOf(customerID string) []Token {
	var list []Token
	for _, token := range s.Tokens {
		if token.CustomerID == customerID {
			list = append(list, token)
		}
	}
	slices.SortFunc(list, func(a, b Token) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return list
}

// Event is a custom event with all names that it bore, in order of From.
type Event struct {
	EventID string
	Names   []EventName
}

// Current is the name that the event bears, empty when it is archived.
func (e Event) Current() string {
	name, _ := current(e.Names, e.EventID)
	return name.APIName
}

// EventsOf lists an account's events by their ids.
func (s *Snapshot) EventsOf(customerID string) []Event {
	var list []Event
	at := map[string]int{}
	for _, name := range s.Names[customerID] {
		i, listed := at[name.EventID]
		if !listed {
			i = len(list)
			at[name.EventID] = i
			list = append(list, Event{EventID: name.EventID})
		}
		list[i].Names = append(list[i].Names, name)
	}
	slices.SortFunc(list, func(a, b Event) int { return cmp.Compare(a.EventID, b.EventID) })
	return list
}

// VariationsOf lists an optimization's variations in their order.
func (s *Snapshot) VariationsOf(customerID, optimizationID string) []Variation {
	var list []Variation
	for _, v := range s.Variations[customerID][optimizationID] {
		if !v.IsDeleted {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b Variation) int { return int(a.Position) - int(b.Position) })
	return list
}

// GoalsOf lists an optimization's goals, the primary one first.
func (s *Snapshot) GoalsOf(customerID, optimizationID string) []Goal {
	var list []Goal
	for _, g := range s.Goals[customerID][optimizationID] {
		if !g.IsDeleted {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b Goal) int {
		switch {
		case a.IsPrimary != b.IsPrimary && a.IsPrimary:
			return -1
		case a.IsPrimary != b.IsPrimary:
			return 1
		case a.EventID < b.EventID:
			return -1
		default:
			return 1
		}
	})
	return list
}

// AllowsOrigin reports whether a browser on that origin may send for the account. One as
// https://*.example.com covers all subdomains, and not the domain itself.
func (a Account) AllowsOrigin(origin string) bool {
	return origin == "" || len(a.Origins) == 0 || slices.ContainsFunc(a.Origins, func(allowed string) bool {
		scheme, domain, any := strings.Cut(allowed, anySubdomain)
		return allowed == origin || any && strings.HasPrefix(origin, scheme) && strings.HasSuffix(origin, "."+domain) && len(origin) > len(scheme)+len(domain)+1
	})
}

// anySubdomain stands for all subdomains in an origin.
const anySubdomain = "*."
