package history

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fault is one thing that is wrong with a line. Those of one kind differ in what was received only.
type fault struct{ kind, text string }

func (f fault) Error() string { return f.text }

// lineFaults is all that is wrong with a line.
type lineFaults []error

func (l lineFaults) Error() string { return errors.Join(l...).Error() }

// Place is where a line, or an element of an array, stands.
type Place struct {
	Source string // the file
	Unit   string // line or element
	Number int64  // from 1
}

func (p Place) String() string { return fmt.Sprintf("%s %s %d", p.Source, p.Unit, p.Number) }

// Faults are those of one kind in one source.
type Faults struct {
	First Place
	Text  string // of the first one
	Lines int64

	ranges []numbers
}

// numbers are line numbers that follow each other.
type numbers struct{ first, last int64 }

// maxRanges bounds what is remembered of where faults of a kind are.
const maxRanges = 10

func (f *Faults) add(number int64) {
	f.Lines++
	n := len(f.ranges)
	switch {
	case n > 0 && f.ranges[n-1].last+1 == number:
		f.ranges[n-1].last = number
	case n < maxRanges:
		f.ranges = append(f.ranges, numbers{number, number})
	}
}

// String says where the faults are and what the first of them is.
func (f *Faults) String() string {
	if f.Lines == 1 {
		return f.First.String() + ": " + f.Text
	}
	var where []string
	listed := int64(0)
	for _, r := range f.ranges {
		listed += r.last - r.first + 1
		switch r.last {
		case r.first:
			where = append(where, strconv.FormatInt(r.first, 10))
		case r.first + 1:
			where = append(where, fmt.Sprintf("%d, %d", r.first, r.last))
		default:
			where = append(where, fmt.Sprintf("%d to %d", r.first, r.last))
		}
	}
	more := ""
	if listed < f.Lines {
		more = fmt.Sprintf(" and %d more", f.Lines-listed)
	}
	return fmt.Sprintf("%s %ss %s%s (%d): %s", f.First.Source, f.First.Unit, strings.Join(where, ", "), more, f.Lines, f.Text)
}

// faultLog counts faults by source and kind.
type faultLog struct {
	byKind map[[2]string]*Faults
	order  []*Faults
}

// note takes the faults of a line, which may be joined.
func (l *faultLog) note(at Place, reason error) {
	if all := (lineFaults{}); errors.As(reason, &all) {
		for _, one := range all {
			l.note(at, one)
		}
		return
	}
	kind, text := reason.Error(), strings.ReplaceAll(reason.Error(), "\n", "; ")
	if f := (fault{}); errors.As(reason, &f) {
		kind = f.kind
	}
	key := [2]string{at.Source, kind}
	if l.byKind == nil {
		l.byKind = map[[2]string]*Faults{}
	}
	if l.byKind[key] == nil {
		l.byKind[key] = &Faults{First: at, Text: text}
		l.order = append(l.order, l.byKind[key])
	}
	l.byKind[key].add(at.Number)
}

// list returns the faults, those of the most lines first.
func (l *faultLog) list() []*Faults {
	list := slices.Clone(l.order)
	slices.SortStableFunc(list, func(a, b *Faults) int { return cmp.Compare(b.Lines, a.Lines) })
	return list
}
