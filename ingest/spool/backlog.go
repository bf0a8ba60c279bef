package spool

import "time"

// Backlog returns how many bytes wait, and for how long the oldest of them, to about
// a second.
func (s *Spool) Backlog() (bytes int64, oldest time.Duration) {
	s.mu.Lock()
	cursor, written := s.cursor, s.written
	if len(s.ages) > 0 && cursor.Before(written) {
		oldest = max(0, time.Since(s.ages[0].since))
	}
	s.mu.Unlock() // the files may be many, and appending goes on
	segments, err := listSegments(s.dir)
	if err != nil {
		return 0, oldest // the reader says what is wrong
	}
	for _, segment := range segments {
		if segment < cursor.Segment || segment > written.Segment {
			continue
		}
		size := written.Offset
		if segment < written.Segment {
			var err error
			if size, err = dataEnd(s.segmentPath(segment)); err != nil {
				continue // never made, or deleted just now
			}
		}
		if segment == cursor.Segment {
			size -= cursor.Offset
		}
		bytes += max(size, 0)
	}
	return bytes, oldest
}

// age says that what lies behind a position was appended at a time or later.
type age struct {
	at    Position
	since time.Time
}

const (
	ageInterval = time.Second
	maxAges     = 1000
)

// note adds a mark at the end, unless the last one is recent.
func note(ages []age, end Position, now time.Time) []age {
	if n := len(ages); n > 0 && now.Sub(ages[n-1].since) < ageInterval && now.After(ages[n-1].since) {
		return ages
	}
	if len(ages) >= maxAges { // a long backlog: every other mark will do
		for i := range len(ages) / 2 {
			ages[i] = ages[2*i]
		}
		ages = ages[:len(ages)/2]
	}
	return append(ages, age{at: end, since: now})
}

// forget drops the marks that say nothing about what waits.
func forget(ages []age, cursor, end Position) []age {
	if !cursor.Before(end) {
		return ages[:0]
	}
	for len(ages) > 1 && !cursor.Before(ages[1].at) {
		ages = ages[1:]
	}
	return ages
}
