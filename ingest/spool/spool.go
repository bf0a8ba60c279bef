package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Options of a spool; the zero value has the documented defaults.
type Options struct {
	SegmentBytes int64        // a segment is closed at this size, 64 MiB when 0; one made ahead at 16 MiB at the most
	MinFreeBytes int64        // Append refuses below this much room on the disk; when 0, a twentieth of it, at most 256 MiB
	Holder       string       // who opens it, for HolderOf
	Log          *slog.Logger // slog.Default() when nil
}

// Position is a place in the spool: a segment and a byte in it.
type Position struct {
	Segment uint64
	Offset  int64
}

// Before reports whether p comes before o.
func (p Position) Before(o Position) bool {
	return p.Segment < o.Segment || p.Segment == o.Segment && p.Offset < o.Offset
}

// Spool is an open spool. One process holds it at a time.
type Spool struct {
	dir  string
	id   string
	opts Options
	lock *os.File

	create func(path string) (segmentFile, error)

	waiting groups
	hurry   chan struct{}
	done    chan struct{} // closed when the committer has ended

	mu      sync.Mutex
	written Position      // end of the last durable frame
	grown   chan struct{} // closed and replaced when written moves
	cursor  Position      // everything before it was committed by the reader
	plan    Position      // end of the batch that a crash interrupted, else the cursor

	// ages says when what waits was appended: what lies behind a mark's position is
	// younger than the mark. The first is at or before the cursor.
	ages []age

	room  room
	ahead ahead
}

// ErrClosed says that the spool is being closed.
var ErrClosed = errors.New("the spool is closed")

// ErrFull says that the disk has too little room to accept more.
var ErrFull = errors.New("the disk of the data folder is nearly full")

// ErrInUse says that another process holds the spool.
var ErrInUse = errors.New("the spool is in use by another process")

// Open opens or creates the spool in dir.
func Open(dir string, opts Options) (*Spool, error) {
	if opts.SegmentBytes == 0 {
		opts.SegmentBytes = 64 << 20
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("create the spool: %w", err)
	}
	s := &Spool{
		create: createSegment, room: room{dir: dir, least: opts.MinFreeBytes},
		dir: dir, opts: opts, waiting: groups{wake: make(chan struct{}, 1)},
		hurry: make(chan struct{}, 1), grown: make(chan struct{}), done: make(chan struct{}),
	}
	s.ahead = ahead{
		path: filepath.Join(dir, aheadName), bytes: min(aheadBytes, opts.SegmentBytes), room: &s.room,
		create: func(path string) (segmentFile, error) { return s.create(path) },
	}
	if err := s.recover(); err != nil {
		if s.lock != nil {
			s.lock.Close()
		}
		return nil, err
	}
	go s.commitGroups()
	return s, nil
}

// recover takes the lock, reads the cursor and begins a segment behind all others.
// A new one each time: what a torn tail holds stays as it is.
func (s *Spool) recover() error {
	lock, err := lockFolder(s.dir)
	if err != nil {
		return err
	}
	s.lock = lock
	_ = os.WriteFile(filepath.Join(s.dir, holderName), []byte(s.opts.Holder), 0o600) // a hint for HolderOf
	_ = os.Remove(s.ahead.path)                                                      // a crash left it
	if s.id, err = spoolID(filepath.Join(s.dir, "id")); err != nil {
		return err
	}
	done, err := readProgress(s.dir)
	cursor := done.cursor
	if err != nil {
		s.opts.Log.Error("the spool's cursor cannot be read, everything in the spool is sent again (it counts once)", "err", err)
	}
	segments, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	next := cursor.Segment + 1
	if len(segments) > 0 {
		next = max(next, segments[len(segments)-1]+1)
		if cursor.Segment < segments[0] {
			cursor = Position{Segment: segments[0]} // deleted behind the cursor, or lost
		}
	} else {
		cursor = Position{Segment: next}
	}
	s.cursor, s.plan = cursor, cursor
	if done.cursor == cursor && cursor.Before(done.plan) {
		s.plan = done.plan
	}
	s.written = Position{Segment: next}
	if s.cursor.Before(s.written) {
		s.ages = []age{{at: s.cursor, since: lastCommit(s.dir)}}
	}
	return nil
}

// lastCommit is when the cursor was written; what was appended before it and still
// waits was in the batch under way.
func lastCommit(dir string) time.Time {
	info, err := os.Stat(filepath.Join(dir, cursorName))
	if err != nil {
		return time.Now()
	}
	return info.ModTime()
}

// lockFolder locks the folder itself: a file in it could be deleted, and made again by a second
// service that would then hold another lock.
func lockFolder(dir string) (*os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the spool's folder: %w", err)
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		folder.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("lock the spool's folder: %w", err)
	}
	return folder, nil
}

const holderName = "holder"

// HolderOf returns the Holder of the one who has the spool in dir open, or had last.
func HolderOf(dir string) string {
	text, _ := os.ReadFile(filepath.Join(dir, holderName))
	return string(text)
}

// spoolID names this spool for good, so that the positions of two spools are told
// apart in ClickHouse's deduplication.
func spoolID(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the spool's id: %w", err)
	}
	id := uuid.NewString()
	return id, writeDurably(path, []byte(id+"\n"))
}

// ID is unique to this spool.
func (s *Spool) ID() string { return s.id }

// Pending reports how far the reader is behind: where it is and where it must get.
func (s *Spool) Pending() (cursor, end Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursor, s.written
}

// Close makes what is under way durable and closes the spool.
func (s *Spool) Close() error {
	s.waiting.close()
	<-s.done
	return s.lock.Close()
}

// Accepts is nil where Append would find room.
func (s *Spool) Accepts() error { return s.room.check() }

// Hurry is sent to when somebody waits for the spool to be drained.
func (s *Spool) Hurry() <-chan struct{} { return s.hurry }

// WaitDrained returns once the reader has committed all that was durable at the
// call.
func (s *Spool) WaitDrained(ctx context.Context) error {
	select {
	case s.hurry <- struct{}{}:
	default: // it is known already
	}
	_, end := s.Pending()
	for {
		s.mu.Lock()
		behind, grown := s.cursor.Before(end), s.grown
		s.mu.Unlock()
		if !behind {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// changed wakes up everyone who waits for written or cursor to move; s.mu is held.
func (s *Spool) changed() {
	s.ages = forget(s.ages, s.cursor, s.written)
	close(s.grown)
	s.grown = make(chan struct{})
}

const (
	segmentSuffix = ".seg"
	mostSegments  = 1 << 62
)

func (s *Spool) segmentPath(segment uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016d%s", segment, segmentSuffix))
}

// listSegments returns the numbers of the segments in dir, ascending.
func listSegments(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the spool: %w", err)
	}
	var segments []uint64
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), segmentSuffix)
		if !ok {
			continue
		}
		// None is ever numbered so high, and there must be room behind it.
		if number, err := strconv.ParseUint(name, 10, 64); err == nil && number < mostSegments {
			segments = append(segments, number)
		}
	}
	slices.Sort(segments)
	return segments, nil
}
