package catalog

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Edit is a change under way: each method checks its rule against the catalog as
// it is after the methods before, and notes the rows to write.
type Edit struct {
	*Snapshot
	now time.Time

	accounts      []Account
	tokens        []Token
	names         []EventName
	optimizations []Optimization
	variations    []Variation
	goals         []Goal
	changes       []change
}

// change is a row of catalog_changes.
type change struct {
	Version    uint64    `ch:"version"`
	ChangedAt  time.Time `ch:"changed_at"`
	Source     string    `ch:"source"`
	CustomerID string    `ch:"customer_id"`
	Change     string    `ch:"change"`
}

func (e *Edit) note(customerID, format string, args ...any) {
	e.changes = append(e.changes, change{CustomerID: customerID, Change: fmt.Sprintf(format, args...)})
}

// PutAccount adds an account. Of one that exists it sets the origins, if any are
// given, and leaves the rest.
func (e *Edit) PutAccount(customerID string, origins []string) error {
	if err := checkID("the account's id", customerID); err != nil {
		return err
	}
	origins = slices.Clone(origins)
	for i := range origins {
		normal, err := normalOrigin(origins[i])
		if err != nil {
			return err
		}
		origins[i] = normal
	}
	account, exists := e.Accounts[customerID]
	if exists && (len(origins) == 0 || slices.Equal(origins, account.Origins)) {
		return nil
	}
	if !exists {
		account = Account{CustomerID: customerID, Origins: []string{}, CreatedAt: e.now}
	}
	if len(origins) > 0 {
		account.Origins = origins
	}
	e.Accounts[customerID] = account
	e.accounts = append(e.accounts, account)
	e.note(customerID, "account put, origins %v", account.Origins)
	return nil
}

// normalOrigin returns an origin as browsers send it: lower case, without the
// scheme's own port.
func normalOrigin(origin string) (string, error) {
	u, err := url.Parse(strings.ToLower(origin))
	ports := map[string]string{"http": "80", "https": "443"}
	wrong := err != nil || ports[u.Scheme] == "" || u.Hostname() == "" || strings.Contains(u.Host, "*") ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != ""
	if !wrong && u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		wrong = err != nil || port == 0
	}
	if wrong {
		return "", fmt.Errorf("%w: %q is no origin; give scheme and host, as https://www.example.com", ErrInvalid, origin)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, ":"+ports[u.Scheme]), nil
}

// AddToken makes a token. Its name must not be that of a live one.
func (e *Edit) AddToken(customerID, name string) (Secret, error) {
	if err := e.PutAccount(customerID, nil); err != nil {
		return Secret{}, err
	}
	if err := checkID("the token's name", name); err != nil {
		return Secret{}, err
	}
	if _, err := e.liveToken(customerID, name); err == nil {
		return Secret{}, fmt.Errorf("%w: account %s has a token named %q; revoke it first, or choose another name", ErrConflict, customerID, name)
	}
	secret, token := NewToken(customerID, name, e.now)
	e.Tokens[token.Prefix] = token
	e.tokens = append(e.tokens, token)
	e.note(customerID, "token %q added", name)
	return secret, nil
}

// RevokeToken ends a token's life at once.
func (e *Edit) RevokeToken(customerID, name string) error {
	token, err := e.liveToken(customerID, name)
	if err != nil {
		return err
	}
	token.RevokedAt = &e.now
	e.Tokens[token.Prefix] = token
	e.tokens = append(e.tokens, token)
	e.note(customerID, "token %q revoked", name)
	return nil
}

func (e *Edit) liveToken(customerID, name string) (Token, error) {
	for _, token := range e.Tokens {
		if token.CustomerID == customerID && token.Name == name && token.RevokedAt == nil {
			return token, nil
		}
	}
	return Token{}, fmt.Errorf("%w: account %s has no live token named %q; `tieback token list %s` shows them", ErrNotFound, customerID, name, customerID)
}

// AddEvent makes an event that bears apiName since from; an empty eventID is made
// up. It returns the event's id.
func (e *Edit) AddEvent(customerID, apiName, eventID string, from time.Time) (string, error) {
	if err := e.PutAccount(customerID, nil); err != nil {
		return "", err
	}
	if eventID == "" {
		eventID = "evt_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
	}
	if last, exists := known(e.Names[customerID], eventID); exists && (last.To == nil || last.To.After(from)) {
		return "", fmt.Errorf("%w: account %s has an event %s already, named %q since %s; `tieback event rename` changes its name",
			ErrConflict, customerID, eventID, last.APIName, last.From.Format(time.RFC3339Nano))
	}
	return eventID, e.PutName(EventName{CustomerID: customerID, EventID: eventID, APIName: apiName, From: from})
}

// RenameEvent gives an event another name from now on (R3).
func (e *Edit) RenameEvent(customerID, eventID, newName string) error {
	name, err := e.currentName(customerID, eventID)
	if err != nil {
		return err
	}
	if name.APIName == newName {
		return fmt.Errorf("%w: event %s bears the name %q already", ErrConflict, eventID, newName)
	}
	next := EventName{CustomerID: customerID, EventID: eventID, APIName: newName, From: e.endOf(name)}
	if by, taken := takenBy(e.Names[customerID], next); taken {
		return nameTakenError(next, by)
	}
	if err := e.endNames(customerID, eventID, next.From); err != nil {
		return err
	}
	return e.PutName(next)
}

// ArchiveEvent frees an event's name from now on (R3).
func (e *Edit) ArchiveEvent(customerID, eventID string) error {
	name, err := e.currentName(customerID, eventID)
	if err != nil {
		return err
	}
	return e.endNames(customerID, eventID, e.endOf(name))
}

func (e *Edit) currentName(customerID, eventID string) (EventName, error) {
	names := e.Names[customerID]
	name, ok := current(names, eventID)
	if !ok {
		if _, exists := known(names, eventID); exists {
			return EventName{}, fmt.Errorf("%w: event %s of account %s is archived", ErrNotFound, eventID, customerID)
		}
		return EventName{}, fmt.Errorf("%w: account %s has no event %s; `tieback event list %s` shows them", ErrNotFound, customerID, eventID, customerID)
	}
	return name, nil
}

// endNames ends every name that the event bears: an import may have given it several.
func (e *Edit) endNames(customerID, eventID string, at time.Time) error {
	for _, name := range slices.Clone(e.Names[customerID]) {
		if name.EventID == eventID && name.To == nil {
			end := at
			if name.From.After(at) {
				end = name.From
			}
			name.To = &end
			if err := e.PutName(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// ImportNames puts intervals, of which later ones replace earlier ones with the same
// event, name and From, whatever their order. It returns an error for each that would
// make a name belong to two events, nil for the others.
func (e *Edit) ImportNames(names []EventName) []error {
	replacedBy := map[string]int{} // the last of each interval
	for i, n := range names {
		replacedBy[n.key()] = i
	}
	before := map[string]EventName{} // what is in the catalog of those intervals
	for customerID, list := range e.Names {
		e.Names[customerID] = slices.DeleteFunc(slices.Clone(list), func(n EventName) bool {
			_, again := replacedBy[n.key()]
			if again {
				before[n.key()] = n
			}
			return again
		})
	}
	errs := make([]error, len(names))
	for i, n := range names {
		if replacedBy[n.key()] != i {
			continue
		}
		old, existed := before[n.key()]
		if existed && old.end().Equal(n.end()) && (old.To == nil) == (n.To == nil) {
			// Nothing changes, so nothing is written.
			if _, taken := takenBy(e.Names[n.CustomerID], n); !taken {
				e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], old)
				continue
			}
		}
		if errs[i] = e.PutName(n); errs[i] != nil && existed {
			e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], old)
		}
	}
	return errs
}

// endOf is the moment at which a name ends that is given up now: one that has not
// begun yet never begins.
func (e *Edit) endOf(name EventName) time.Time {
	if name.From.After(e.now) {
		return name.From
	}
	return e.now
}

// PutName adds an interval or replaces the one of the same event, name and From.
func (e *Edit) PutName(n EventName) error {
	if err := checkID("the event's id", n.EventID); err != nil {
		return err
	}
	if err := checkID("the event's apiName", n.APIName); err != nil {
		return err
	}
	if n.To != nil && n.To.Before(n.From) {
		return fmt.Errorf("the name %q ends (%s) before it begins (%s)", n.APIName, n.To.Format(time.RFC3339Nano), n.From.Format(time.RFC3339Nano))
	}
	if by, taken := takenBy(e.Names[n.CustomerID], n); taken {
		return nameTakenError(n, by)
	}
	if err := e.PutAccount(n.CustomerID, nil); err != nil {
		return err
	}
	e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], n)
	e.names = append(e.names, n)
	if n.To == nil {
		e.note(n.CustomerID, "event %s bears the name %q from %s", n.EventID, n.APIName, n.From.Format(time.RFC3339Nano))
	} else {
		e.note(n.CustomerID, "event %s bears the name %q from %s to %s", n.EventID, n.APIName, n.From.Format(time.RFC3339Nano), n.To.Format(time.RFC3339Nano))
	}
	return nil
}

// PutOptimization adds an optimization or replaces its name and variations. The
// first variation is the baseline unless one says that it is.
func (e *Edit) PutOptimization(o Optimization, variations []Variation) error {
	if err := checkID("the optimization's id", o.OptimizationID); err != nil {
		return err
	}
	if err := checkID("the optimization's name", o.Name); err != nil {
		return err
	}
	if len(variations) == 0 {
		return fmt.Errorf("%w: optimization %s needs at least one variation", ErrInvalid, o.OptimizationID)
	}
	variations, err := completeVariations(o, variations)
	if err != nil {
		return err
	}
	if err := e.PutAccount(o.CustomerID, nil); err != nil {
		return err
	}
	if e.Optimizations[o.CustomerID] == nil {
		e.Optimizations[o.CustomerID] = map[string]Optimization{}
	}
	e.Optimizations[o.CustomerID][o.OptimizationID] = o
	e.optimizations = append(e.optimizations, o)

	before := e.Variations[o.CustomerID][o.OptimizationID]
	after := make(map[string]Variation, len(variations))
	for _, v := range variations {
		after[v.VariationID] = v
	}
	for id, v := range before {
		if _, kept := after[id]; !kept && !v.IsDeleted {
			v.IsDeleted = true
			after[id] = v
		}
	}
	if e.Variations[o.CustomerID] == nil {
		e.Variations[o.CustomerID] = map[string]map[string]Variation{}
	}
	e.Variations[o.CustomerID][o.OptimizationID] = after
	e.variations = slices.AppendSeq(e.variations, maps.Values(after))
	e.note(o.CustomerID, "optimization %s put, %d variations", o.OptimizationID, len(variations))
	return nil
}

func completeVariations(o Optimization, variations []Variation) ([]Variation, error) {
	variations = slices.Clone(variations)
	seen := map[string]bool{}
	baselines := 0
	for i := range variations {
		v := &variations[i]
		v.CustomerID, v.OptimizationID, v.Position = o.CustomerID, o.OptimizationID, uint32(i)
		if err := checkID("a variation's id", v.VariationID); err != nil {
			return nil, err
		}
		if seen[v.VariationID] {
			return nil, fmt.Errorf("%w: variation %q is given twice", ErrInvalid, v.VariationID)
		}
		seen[v.VariationID] = true
		if v.Weight < 0 {
			return nil, fmt.Errorf("the weight of variation %q is negative", v.VariationID)
		}
		if v.IsBaseline {
			baselines++
		}
	}
	switch baselines {
	case 0:
		variations[0].IsBaseline = true
	case 1:
	default:
		return nil, fmt.Errorf("optimization %s has %d baselines, one is allowed", o.OptimizationID, baselines)
	}
	return variations, nil
}

// AddGoal attaches an event to an optimization, both of which must exist. A primary
// goal takes the place of the one before.
func (e *Edit) AddGoal(g Goal) error {
	if _, ok := e.Optimizations[g.CustomerID][g.OptimizationID]; !ok {
		return fmt.Errorf("%w: account %s has no optimization %s; `tieback optimization list %s` shows them", ErrNotFound, g.CustomerID, g.OptimizationID, g.CustomerID)
	}
	if _, ok := known(e.Names[g.CustomerID], g.EventID); !ok {
		return fmt.Errorf("%w: account %s has no event %s; `tieback event list %s` shows their ids", ErrNotFound, g.CustomerID, g.EventID, g.CustomerID)
	}
	if g.IsPrimary {
		for _, other := range e.GoalsOf(g.CustomerID, g.OptimizationID) {
			if other.IsPrimary && other.EventID != g.EventID {
				other.IsPrimary = false
				e.putGoal(other)
			}
		}
	}
	e.putGoal(g)
	return nil
}

// RemoveGoal detaches an event from an optimization.
func (e *Edit) RemoveGoal(customerID, optimizationID, eventID string) error {
	goal, ok := e.Goals[customerID][optimizationID][eventID]
	if !ok || goal.IsDeleted {
		return fmt.Errorf("%w: event %s is no goal of optimization %s of account %s", ErrNotFound, eventID, optimizationID, customerID)
	}
	goal.IsDeleted = true
	e.putGoal(goal)
	return nil
}

func (e *Edit) putGoal(g Goal) {
	if e.Goals[g.CustomerID] == nil {
		e.Goals[g.CustomerID] = map[string]map[string]Goal{}
	}
	if e.Goals[g.CustomerID][g.OptimizationID] == nil {
		e.Goals[g.CustomerID][g.OptimizationID] = map[string]Goal{}
	}
	e.Goals[g.CustomerID][g.OptimizationID][g.EventID] = g
	e.goals = append(e.goals, g)
	e.note(g.CustomerID, "goal %s of optimization %s put, primary %t, removed %t", g.EventID, g.OptimizationID, g.IsPrimary, g.IsDeleted)
}

// ReplaceOptimization sets an optimization with its variations and goals, and keeps
// nothing of what it was before. Unlike AddGoal it takes events that are not known
// (yet): the lines of an import come in any order.
func (e *Edit) ReplaceOptimization(o Optimization, variations []Variation, goals []Goal) error {
	primaries := 0
	wanted := map[string]bool{}
	for _, g := range goals {
		if err := checkID("a goal's eventId", g.EventID); err != nil {
			return err
		}
		if wanted[g.EventID] {
			return fmt.Errorf("goal %q is given twice", g.EventID)
		}
		wanted[g.EventID] = true
		if g.IsPrimary {
			primaries++
		}
	}
	if primaries > 1 {
		return fmt.Errorf("optimization %s has %d primary goals, one is allowed", o.OptimizationID, primaries)
	}
	if err := e.PutOptimization(o, variations); err != nil {
		return err
	}
	for _, g := range e.GoalsOf(o.CustomerID, o.OptimizationID) {
		if !wanted[g.EventID] {
			g.IsDeleted = true
			e.putGoal(g)
		}
	}
	for _, g := range goals {
		g.CustomerID, g.OptimizationID = o.CustomerID, o.OptimizationID
		e.putGoal(g)
	}
	return nil
}
