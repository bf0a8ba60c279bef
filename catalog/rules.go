package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/refuse"
)

// MaxWindowDays is the longest window (R3).
const MaxWindowDays = 90

// ParseRule reads a window, session or days as 30d, and a credit, last where it is empty.
func ParseRule(window, credit string) (Rule, error) {
	rule := Rule{Credit: credit}
	if credit == "" {
		rule.Credit = CreditLast
	}
	if rule.Credit != CreditLast && rule.Credit != CreditFirst {
		return Rule{}, refuse.Invalidf("the credit is %q, and must be last or first", credit)
	}
	if window == "session" {
		return rule, nil
	}
	number, isDays := strings.CutSuffix(window, "d")
	days, err := strconv.ParseUint(number, 10, 16)
	if !isDays || err != nil || days < 1 || days > MaxWindowDays || number[0] == '0' {
		return Rule{}, refuse.Invalidf("the window is %q, and must be session, or 1 to %d days, as 30d", window, MaxWindowDays)
	}
	rule.WindowDays = uint16(days)
	return rule, nil
}

// Window is the rule's window as ParseRule reads it.
func (r Rule) Window() string {
	if r.WindowDays == 0 {
		return "session"
	}
	return fmt.Sprintf("%dd", r.WindowDays)
}

// String puts the rule into words.
func (r Rule) String() string {
	if r.WindowDays == 0 {
		return fmt.Sprintf("the %s view of the open session", r.Credit)
	}
	return fmt.Sprintf("the %s view of the %s before", r.Credit, human.Count(int64(r.WindowDays), "day"))
}

// valid returns an error for a rule that is none.
func (r Rule) valid() error {
	_, err := ParseRule(r.Window(), r.Credit)
	return err
}

func (r EventRule) end() time.Time { return openEnd(r.To) }

// RuleAt is the rule that was in force for an event at a moment (R3).
func (s *Snapshot) RuleAt(customerID, eventID string, at time.Time) Rule {
	for _, r := range s.Rules[customerID][eventID] {
		if !at.Before(r.From) && at.Before(r.end()) {
			return r.Rule
		}
	}
	return DefaultRule
}

// RulesOf lists the intervals in which an event has a rule other than the default, in order of From.
func (s *Snapshot) RulesOf(customerID, eventID string) []EventRule {
	return slices.DeleteFunc(slices.Clone(s.Rules[customerID][eventID]), func(r EventRule) bool {
		return r.Rule == DefaultRule || !r.end().After(r.From)
	})
}

// SetRule gives an event a rule from a moment on, and replaces all that was set from then on (R3). An event
// without a name in force then and later may have one, too: it does nothing until it bears a name.
func (e *Edit) SetRule(customerID, eventID string, rule Rule, from time.Time) error {
	if err := rule.valid(); err != nil {
		return err
	}
	if _, exists := known(e.Names[customerID], eventID); !exists {
		return refuse.NotFoundf("account %s has no event %s", customerID, eventID).Try("`tieback event list %s` shows them", customerID)
	}
	if from.After(e.now) {
		return refuse.Invalidf("%s lies in the future; a rule can be set from now or from a moment in the past on", from.Format(time.RFC3339Nano))
	}
	from = from.UTC().Truncate(time.Millisecond)
	before := slices.Clone(e.Rules[customerID][eventID])
	holdsAlready := false
	for _, r := range before {
		switch {
		case !r.From.Before(from): // replaced
			r.IsDeleted = true
			e.putRule(r)
		case r.Rule == rule && !r.end().Before(from): // goes on
			holdsAlready = true
			if r.To != nil {
				r.To = nil
				e.putRule(r)
			}
		case r.end().After(from):
			r.To = &from
			e.putRule(r)
		}
	}
	if !holdsAlready && rule != DefaultRule {
		e.putRule(EventRule{CustomerID: customerID, EventID: eventID, Rule: rule, From: from})
	}
	if changed := len(e.Rules[customerID][eventID]) != len(before) || !slices.EqualFunc(before, e.Rules[customerID][eventID], EventRule.equal); changed {
		e.note(customerID, "event %s: from %s on the credit goes to %s", eventID, from.Format(time.RFC3339Nano), rule)
	}
	return nil
}

// HasRule reports whether the interval is there just as it is given.
func (e *Edit) HasRule(r EventRule) bool {
	return slices.ContainsFunc(e.Rules[r.CustomerID][r.EventID], r.equal)
}

// placeRule puts an interval that is known to fit; one that is there just so is left.
func (e *Edit) placeRule(r EventRule) error {
	if e.HasRule(r) {
		return nil
	}
	if err := e.PutAccount(r.CustomerID, nil); err != nil {
		return err
	}
	e.putRule(r)
	until := ""
	if r.To != nil {
		until = " to " + r.To.Format(time.RFC3339Nano)
	}
	e.note(r.CustomerID, "event %s: from %s%s the credit goes to %s", r.EventID, r.From.Format(time.RFC3339Nano), until, r.Rule)
	return nil
}

// putRule adds or replaces an interval, or takes a deleted one away.
func (e *Edit) putRule(r EventRule) {
	rules := slices.DeleteFunc(slices.Clone(e.Rules[r.CustomerID][r.EventID]), func(o EventRule) bool { return o.From.Equal(r.From) })
	if !r.IsDeleted {
		at, _ := slices.BinarySearchFunc(rules, r, func(a, b EventRule) int { return a.From.Compare(b.From) })
		rules = slices.Insert(rules, at, r)
	}
	put(e.Rules, r.CustomerID, r.EventID, rules)
	// One row a key: those of a change have one version.
	e.rules = slices.DeleteFunc(e.rules, func(o EventRule) bool {
		return o.CustomerID == r.CustomerID && o.EventID == r.EventID && o.From.Equal(r.From)
	})
	e.rules = append(e.rules, r)
}

func (r EventRule) equal(o EventRule) bool {
	return r.Rule == o.Rule && r.From.Equal(o.From) && (r.To == nil) == (o.To == nil) && r.end().Equal(o.end())
}
