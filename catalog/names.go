package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tieback/tieback/refuse"
)

// endOfTime stands for an open end when intervals are compared.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func (n *EventName) end() time.Time { return openEnd(n.To) }

// openEnd is the end of an interval that may have none.
func openEnd(to *time.Time) time.Time {
	if to == nil {
		return endOfTime
	}
	return *to
}

// overlaps reports whether there is a moment at which both hold.
func (n EventName) overlaps(o EventName) bool {
	start := n.From
	if o.From.After(start) {
		start = o.From
	}
	return start.Before(n.end()) && start.Before(o.end())
}

func (n EventName) sameInterval(o EventName) bool {
	return n.EventID == o.EventID && n.APIName == o.APIName && n.From.Equal(o.From)
}

// equal reports whether both say the same.
func (n EventName) equal(o EventName) bool {
	return n.key() == o.key() && (n.To == nil) == (o.To == nil) && n.end().Equal(o.end())
}

// key is the same for intervals that replace each other.
func (n EventName) key() string {
	return fmt.Sprintf("%q %q %q %d", n.CustomerID, n.EventID, n.APIName, n.From.UnixMilli())
}

// takenBy returns the other event that bears n's name at some moment of n (R3).
func takenBy(names []EventName, n EventName) (EventName, bool) {
	for _, other := range names {
		if other.APIName == n.APIName && other.EventID != n.EventID && other.overlaps(n) {
			return other, true
		}
	}
	return EventName{}, false
}

// current returns the interval of the name that the event bears now, which is its
// last one, if it has no end.
func current(names []EventName, eventID string) (EventName, bool) {
	for _, name := range slices.Backward(names) {
		if name.EventID == eventID && name.To == nil {
			return name, true
		}
	}
	return EventName{}, false
}

// borneAfter returns an interval in which the event bears a name at some moment from
// then on. Intervals that begin and end at one moment hold at none.
func borneAfter(names []EventName, eventID string, from time.Time) (EventName, bool) {
	for _, name := range names {
		if name.EventID == eventID && name.end().After(from) && name.end().After(name.From) {
			return name, true
		}
	}
	return EventName{}, false
}

// known returns the last interval of an event, ended or not.
func known(names []EventName, eventID string) (EventName, bool) {
	for _, name := range slices.Backward(names) {
		if name.EventID == eventID {
			return name, true
		}
	}
	return EventName{}, false
}

// putName adds n to names, in order of From, or replaces the same interval.
func putName(names []EventName, n EventName) []EventName {
	for i, other := range names {
		if other.sameInterval(n) {
			names = slices.Clone(names)
			names[i] = n
			return names
		}
	}
	at, _ := slices.BinarySearchFunc(names, n, func(a, b EventName) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return -1 // after those that begin at the same moment
	})
	return slices.Insert(slices.Clone(names), at, n)
}

func nameTakenError(n, by EventName) error {
	until := "and bears it still"
	if by.To != nil {
		until = "until " + by.To.Format(time.RFC3339Nano)
	}
	return refuse.Conflictf("the name %q belongs to event %s of account %s since %s %s; at one moment a name belongs to at most one event: rename or archive that one first, or begin later",
		n.APIName, by.EventID, n.CustomerID, by.From.Format(time.RFC3339Nano), until).Try("--from says when")
}

// nameIndex finds names without reading all of an account's.
type nameIndex struct {
	exact map[nameKey][]EventName
	near  map[nameKey]string // by plain name: a name that is borne now
}

type nameKey struct{ customerID, name string }

// NameLookUp is what is known of a name at a moment.
type NameLookUp struct {
	EventID string // of the event that bore the name then, empty where none did (R3)
	Borne   bool   // an event bears the name at another moment
	Near    string // without an exact one: a name borne now that differs in case, spaces, hyphens or underscores only
}

// LookUpName looks for the event that bore a name at a moment.
func (s *Snapshot) LookUpName(customerID, apiName string, at time.Time) (found NameLookUp) {
	s.indexOnce.Do(s.indexNames)
	names := s.index.exact[nameKey{customerID, apiName}]
	for i := range names {
		switch n := &names[i]; {
		case !at.Before(n.From) && at.Before(n.end()):
			return NameLookUp{EventID: n.EventID, Borne: true}
		case n.end().After(n.From):
			found.Borne = true
		}
	}
	if !found.Borne {
		found.Near = s.index.near[nameKey{customerID, plainName(apiName)}]
	}
	return found
}

func (s *Snapshot) indexNames() {
	s.index = nameIndex{map[nameKey][]EventName{}, map[nameKey]string{}}
	for customerID, names := range s.Names {
		for _, n := range names {
			exact, near := nameKey{customerID, n.APIName}, nameKey{customerID, plainName(n.APIName)}
			s.index.exact[exact] = append(s.index.exact[exact], n)
			if n.To == nil && !preferred(s.index.near[near]) {
				s.index.near[near] = n.APIName
			}
		}
	}
}

// plainName is a name without what people get wrong in it.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '_' || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// preferred reports whether a name is one to point to, of several that nearly fit: there are no
// spaces around it.
func preferred(near string) bool { return near != "" && strings.TrimSpace(near) == near }

// SamePlainName reports whether two names differ in case, spaces, hyphens or underscores only.
func SamePlainName(a, b string) bool { return plainName(a) == plainName(b) }

// NearName returns a name that another event of the account bears now and that differs from
// apiName in case, spaces, hyphens or underscores only; empty where there is none.
func (s *Snapshot) NearName(customerID, apiName, eventID string) string {
	near := ""
	for _, n := range s.Names[customerID] {
		if n.To == nil && n.EventID != eventID && n.APIName != apiName && SamePlainName(n.APIName, apiName) &&
			!preferred(near) {
			near = n.APIName
		}
	}
	return near
}
