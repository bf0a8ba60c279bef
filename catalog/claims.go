package catalog

import (
	"slices"
	"time"
)

// claim is an interval for which an owner claims something that only one owner may have at a moment:
// an event a name, or a rule an event. Claims of one owner with one beginning replace each other.
type claim struct {
	owner    string
	from, to time.Time
	line     int // of the import, negative for one that is there
}

// holds reports whether the interval has a moment.
func (c *claim) holds() bool { return c.to.After(c.from) }

func (c *claim) overlaps(o *claim) bool {
	start := c.from
	if o.from.After(start) {
		start = o.from
	}
	return start.Before(c.to) && start.Before(o.to)
}

// slot is what an owner claims from one moment on: as it is, and the lines of an import.
type slot struct {
	owner string
	from  time.Time
	there *claim // nil where there is none
	lines []*claim
	final *claim // as it will be, nil where there will be none
}

// settle decides an import of claims of one thing: it returns the lines that will hold, and for those that
// are refused the claim in their way. Of two that overlap the one that is there stays, else the one that begins
// first, whatever their order; a later line takes the place of an earlier one that it replaces. One
// that is refused leaves what it was to replace.
//
// It goes over the slots in the order of their beginnings, once from each end: those that are there
// and will hold are in the way of what comes before them, and what is placed is in the way of what
// comes behind.
func settle(there, lines []claim) (placed []claim, refused map[int]claim) {
	slots := slotsOf(there, lines)
	refused = map[int]claim{}
	var behind outermost
	after := make([]*claim, len(slots)) // what is in the way of each
	for i, s := range slices.Backward(slots) {
		after[i] = behind.otherThan(s.owner)
		if s.there != nil && s.there.holds() {
			if s.final = s.choose(nil, after[i], refused); s.final.holds() {
				behind.add(s.final, func(c, o *claim) bool { return c.from.Before(o.from) })
			}
		}
	}
	var before outermost
	for i, s := range slots {
		if s.final == nil {
			s.final = s.choose(before.otherThan(s.owner), after[i], refused)
		}
		if s.final == nil {
			continue
		}
		if s.final.holds() {
			before.add(s.final, func(c, o *claim) bool { return c.to.After(o.to) })
		}
		if s.final.line >= 0 {
			placed = append(placed, *s.final)
		}
	}
	return placed, refused
}

// slotsOf returns them in the order of their beginnings; of those that begin at one moment the one that
// is there comes first.
func slotsOf(there, lines []claim) (slots []*slot) {
	type key struct {
		owner string
		from  int64
	}
	at := map[key]*slot{}
	find := func(c *claim) *slot {
		k := key{c.owner, c.from.UnixMilli()}
		if at[k] == nil {
			at[k] = &slot{owner: c.owner, from: c.from}
			slots = append(slots, at[k])
		}
		return at[k]
	}
	for i := range there {
		find(&there[i]).there = &there[i]
	}
	for i := range lines {
		s := find(&lines[i])
		s.lines = append(s.lines, &lines[i])
	}
	slices.SortStableFunc(slots, func(a, b *slot) int { return a.from.Compare(b.from) })
	return slots
}

// choose returns the last line of a slot that nothing is in the way of, else what is there. It
// notes what is in the way of the lines behind that one.
func (s *slot) choose(before, after *claim, refused map[int]claim) *claim {
	for _, line := range slices.Backward(s.lines) {
		switch {
		case before != nil && before.overlaps(line):
			refused[line.line] = *before
		case after != nil && after.overlaps(line):
			refused[line.line] = *after
		default:
			return line
		}
	}
	return s.there
}

// outermost is, of claims of several owners, the one that reaches furthest, and the one of another
// owner that does.
type outermost struct{ first, second *claim }

func (o *outermost) add(c *claim, further func(c, than *claim) bool) {
	switch {
	case o.first == nil || further(c, o.first):
		if o.first != nil && o.first.owner != c.owner {
			o.second = o.first
		}
		o.first = c
	case c.owner != o.first.owner && (o.second == nil || further(c, o.second)):
		o.second = c
	}
}

func (o *outermost) otherThan(owner string) *claim {
	if o.first != nil && o.first.owner == owner {
		return o.second
	}
	return o.first
}
