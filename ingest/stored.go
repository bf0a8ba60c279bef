package ingest

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/warehouse"
)

// storedIDs remembers which client events were stored lately, so that one that a browser sends
// again is not stored again: a moment that was corrected or held back would make the two copies
// differ (docs/snippet.md). Two generations bound the memory.
type storedIDs struct {
	mu         sync.Mutex
	young, old map[uuid.UUID]*storing
	turned     time.Time // when young was begun
}

// storing is a request that stores events, or has stored them. Of one that could not, no event
// is remembered.
type storing struct{ done chan struct{} }

func (s *storing) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

const (
	// storedFor is how long an id is remembered at least.
	storedFor = 10 * time.Minute
	// mostStored bounds a generation; a service that takes in more remembers for a shorter time.
	mostStored = 400_000
)

// claim returns the rows that were not stored lately, each id once, and the function to call
// with whether they are. It waits while another request is storing one of them, since that may
// fail; it holds none meanwhile, so that no two wait for each other.
func (s *storedIDs) claim(rows []*warehouse.ClientEvent, now time.Time) (fresh []*warehouse.ClientEvent, settle func(stored bool)) {
	mine := &storing{done: make(chan struct{})}
	for {
		busy := s.tryClaim(rows, mine, now, &fresh)
		if busy == nil {
			break
		}
		<-busy.done
	}
	return fresh, func(stored bool) {
		if !stored {
			s.forget(fresh)
		}
		close(mine.done)
	}
}

// tryClaim claims all rows that are not stored, or none where another request is storing one,
// which it returns.
func (s *storedIDs) tryClaim(rows []*warehouse.ClientEvent, mine *storing, now time.Time, fresh *[]*warehouse.ClientEvent) (busy *storing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || now.Sub(s.turned) > storedFor || len(s.young) > mostStored {
		s.old, s.young, s.turned = s.young, map[uuid.UUID]*storing{}, now
	}
	for _, row := range rows {
		if other := s.find(row.IngestID); other != nil && !other.ended() {
			return other
		}
	}
	for _, row := range rows {
		if s.find(row.IngestID) == nil {
			s.young[row.IngestID] = mine
			*fresh = append(*fresh, row)
		}
	}
	return nil
}

func (s *storedIDs) find(id uuid.UUID) *storing {
	if found := s.young[id]; found != nil {
		return found
	}
	return s.old[id]
}

func (s *storedIDs) forget(rows []*warehouse.ClientEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		delete(s.young, row.IngestID)
		delete(s.old, row.IngestID)
	}
}
