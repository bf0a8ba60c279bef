package catalog

import (
	"errors"
	"slices"
	"time"
)

// ImportNames puts intervals, of which later ones replace earlier ones with the same event, name
// and From, and those that are there. It returns an error for each that is none, or would make a
// name belong to two events (R3), nil for the others: of two that overlap the one that is there
// already stays, else the one that begins first, whatever their order. One that is refused
// leaves what it was to replace.
func (e *Edit) ImportNames(names []EventName) []error {
	im := nameImport{lines: names, errs: make([]error, len(names)), byName: map[[2]string][]int{}}
	var order [][2]string // of the accounts' names, as they come
	for i, n := range names {
		if im.errs[i] = errors.Join(n.valid(), checkID("the account's id", n.CustomerID)); im.errs[i] != nil {
			continue
		}
		name := [2]string{n.CustomerID, n.APIName}
		if im.byName[name] == nil {
			order = append(order, name)
		}
		im.byName[name] = append(im.byName[name], i)
	}
	for _, name := range order {
		for _, n := range im.settle(e.Names[name[0]], name) {
			if err := e.place(n); err != nil {
				panic(err) // it was checked
			}
		}
	}
	return im.errs
}

// nameImport are lines, and what is wrong with each.
type nameImport struct {
	lines  []EventName
	errs   []error
	byName map[[2]string][]int // the valid ones, by account and name
}

// slot is an interval of one name that an event begins to bear at one moment. What is there and
// the lines of an import may differ about its end.
type slot struct {
	from  time.Time
	there *EventName // as it is, nil where it is not
	lines []int      // of the import, in their order
	final *EventName // as it will be, nil where it will not be
}

// settle decides all intervals of a name and returns those that change. It goes over them in the
// order of their beginnings, once from each end: those that are there and will hold are in the
// way of what comes before them, and what is placed is in the way of what comes behind.
func (im *nameImport) settle(existing []EventName, name [2]string) (changed []EventName) {
	slots := im.slots(existing, name)
	var behind outermost
	after := make([]EventName, len(slots)) // what is in the way of each
	for i, s := range slices.Backward(slots) {
		after[i] = behind.otherThan(s.eventID(im.lines))
		if s.there != nil && s.there.holds() {
			if s.final = im.choose(s, EventName{}, after[i]); s.final.holds() {
				behind.add(*s.final, func(n, o EventName) bool { return n.From.Before(o.From) })
			}
		}
	}
	var placed outermost
	for i, s := range slots {
		if s.final == nil {
			s.final = im.choose(s, placed.otherThan(s.eventID(im.lines)), after[i])
		}
		if s.final == nil {
			continue
		}
		if s.final.holds() {
			placed.add(*s.final, func(n, o EventName) bool { return n.end().After(o.end()) })
		}
		if s.there == nil || !s.there.equal(*s.final) {
			changed = append(changed, *s.final)
		}
	}
	return changed
}

// slots returns those of a name in the order of their beginnings; of those that begin at one
// moment the one that is there comes first.
func (im *nameImport) slots(existing []EventName, name [2]string) (slots []*slot) {
	at := map[string]*slot{}
	find := func(n EventName) *slot {
		s := at[n.key()]
		if s == nil {
			s = &slot{from: n.From}
			at[n.key()] = s
			slots = append(slots, s)
		}
		return s
	}
	for _, n := range existing {
		if n.APIName == name[1] {
			find(n).there = &n
		}
	}
	for _, i := range im.byName[name] {
		s := find(im.lines[i])
		s.lines = append(s.lines, i)
	}
	slices.SortStableFunc(slots, func(a, b *slot) int { return a.from.Compare(b.from) })
	return slots
}

func (s *slot) eventID(lines []EventName) string {
	if s.there != nil {
		return s.there.EventID
	}
	return lines[s.lines[0]].EventID
}

// choose returns the last line of a slot that nothing is in the way of, else what is there. It
// notes why the lines behind that one are refused.
func (im *nameImport) choose(s *slot, before, after EventName) *EventName {
	for _, i := range slices.Backward(s.lines) {
		n := &im.lines[i]
		switch {
		case before.EventID != "" && before.overlaps(*n):
			im.errs[i] = nameTakenError(*n, before)
		case after.EventID != "" && after.overlaps(*n):
			im.errs[i] = nameTakenError(*n, after)
		default:
			return n
		}
	}
	return s.there
}

// holds reports whether the interval has a moment.
func (n EventName) holds() bool { return n.end().After(n.From) }

// outermost is, of intervals of several events, the one that reaches furthest, and the one of
// another event that does.
type outermost struct{ first, second EventName }

func (o *outermost) add(n EventName, further func(n, than EventName) bool) {
	switch {
	case o.first.EventID == "" || further(n, o.first):
		if o.first.EventID != n.EventID {
			o.second = o.first
		}
		o.first = n
	case n.EventID != o.first.EventID && (o.second.EventID == "" || further(n, o.second)):
		o.second = n
	}
}

func (o *outermost) otherThan(eventID string) EventName {
	if o.first.EventID == eventID {
		return o.second
	}
	return o.first
}
