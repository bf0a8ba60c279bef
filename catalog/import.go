package catalog

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tieback/tieback/refuse"
)

// ImportNames puts intervals, of which later ones replace earlier ones with the same event, name
// and From, and those that are there. It returns an error for each that is none, or would make a
// name belong to two events (R3), nil for the others: of two that overlap the one that is there
// already stays, else the one that begins first, whatever their order. One that is refused
// leaves what it was to replace.
func (e *Edit) ImportNames(names []EventName) []error {
	errs := make([]error, len(names))
	for i, n := range names {
		errs[i] = errors.Join(n.valid(), checkID("the account's id", n.CustomerID))
	}
	subject := func(n EventName) [2]string { return [2]string{n.CustomerID, n.APIName} }
	claimOf := func(n EventName, line int) claim { return claim{n.EventID, n.From, n.end(), line} }
	importClaims(names, errs, subject, claimOf,
		func(subject [2]string) []EventName {
			return slices.DeleteFunc(slices.Clone(e.Names[subject[0]]), func(n EventName) bool { return n.APIName != subject[1] })
		},
		func(i int) error {
			if e.HasName(names[i]) {
				return nil
			}
			return e.place(names[i])
		},
		func(n, by EventName) error { return nameTakenError(n, by) })
	return errs
}

// ImportRules is ImportNames for attribution rules: at a moment an event has one, and the same From
// replaces (R3). An event may be unknown: a rule does nothing until it bears a name.
func (e *Edit) ImportRules(rules []EventRule) []error {
	errs := make([]error, len(rules))
	for i, r := range rules {
		errs[i] = errors.Join(r.valid(), checkID("the account's id", r.CustomerID), checkID("the event's id", r.EventID))
		if errs[i] == nil && r.To != nil && !r.To.After(r.From) {
			errs[i] = refuse.Invalidf("the rule ends (%s) before it has begun (%s)", r.To.Format(time.RFC3339Nano), r.From.Format(time.RFC3339Nano))
		}
	}
	subject := func(r EventRule) [2]string { return [2]string{r.CustomerID, r.EventID} }
	claimOf := func(r EventRule, line int) claim { return claim{fmt.Sprint(r.From.UnixMilli()), r.From, r.end(), line} }
	importClaims(rules, errs, subject, claimOf,
		func(subject [2]string) []EventRule { return e.Rules[subject[0]][subject[1]] },
		func(i int) error { return e.placeRule(rules[i]) },
		func(r, by EventRule) error {
			return refuse.Conflictf("event %s of account %s has another rule from %s on, which holds at some of these moments: end one of them where the other begins",
				r.EventID, r.CustomerID, by.From.Format(time.RFC3339Nano))
		})
	return errs
}

// importClaims settles the lines that have no error, a subject at a time, places those that will hold and notes
// why others are refused.
func importClaims[T any](lines []T, errs []error, subjectOf func(T) [2]string, claimOf func(T, int) claim, thereOf func([2]string) []T,
	place func(int) error, refusedBy func(line, by T) error) {
	bySubject := map[[2]string][]claim{}
	var order [][2]string // as they come
	for i, line := range lines {
		if errs[i] != nil {
			continue
		}
		subject := subjectOf(line)
		if bySubject[subject] == nil {
			order = append(order, subject)
		}
		bySubject[subject] = append(bySubject[subject], claimOf(line, i))
	}
	for _, subject := range order {
		there := thereOf(subject)
		claims := make([]claim, len(there))
		for i, t := range there {
			claims[i] = claimOf(t, -1-i)
		}
		placed, refused := settle(claims, bySubject[subject])
		for line, by := range refused {
			if by.line >= 0 {
				errs[line] = refusedBy(lines[line], lines[by.line])
			} else {
				errs[line] = refusedBy(lines[line], there[-1-by.line])
			}
		}
		for _, c := range placed {
			if err := place(c.line); err != nil {
				panic(err) // it was checked
			}
		}
	}
}
