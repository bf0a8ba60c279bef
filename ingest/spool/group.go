package spool

import (
	"slices"
	"sync"
	"time"
)

// group is what several callers want durable: one frame, one fsync.
type group struct {
	frame   []byte
	callers int
	err     error         // to be read once done is closed
	done    chan struct{} // closed when the frame's fate is known
}

// groups are those that wait to be written. Callers copy their records into the last
// one, so that each of them sleeps once, until its frame is on disk.
type groups struct {
	wake chan struct{} // holds a token when there may be something to take

	mu     sync.Mutex
	list   []*group
	spare  []byte // memory for a frame
	closed bool
}

// add puts the records of one caller into a frame; size is an upper bound of what
// they take there.
func (g *groups) add(records [][]byte, size int) (*group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	last := g.last()
	if last == nil || len(last.frame)+size > maxFrameBytes {
		last = &group{frame: newFrame(g.spare), done: make(chan struct{})}
		g.spare = nil
		g.list = append(g.list, last)
	}
	last.frame = slices.Grow(last.frame, size)
	for _, record := range records {
		last.frame = appendRecord(last.frame, record)
	}
	last.callers++
	g.signal()
	return last, nil
}

func (g *groups) last() *group {
	if len(g.list) == 0 {
		return nil
	}
	return g.list[len(g.list)-1]
}

func (g *groups) signal() {
	select {
	case g.wake <- struct{}{}:
	default: // it is awake already
	}
}

// take returns the group that is next, nil where there is none; more is false when
// none will come.
func (g *groups) take() (next *group, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.list) == 0 {
		return nil, !g.closed
	}
	next = g.list[0]
	g.list = g.list[1:]
	return next, true
}

// maxSpare is the largest frame whose memory is kept for another one.
const maxSpare = 1 << 20

// reuse keeps the memory of a frame that was written.
func (g *groups) reuse(written *group) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cap(written.frame) <= maxSpare {
		g.spare = written.frame
	}
	written.frame = nil
}

func (g *groups) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.signal()
}

// pace keeps fsyncs apart while many callers append: one that comes a moment later
// carries more of them, and an fsync costs the processor as much as several requests.
// A caller who is alone is not held up.
type pace struct {
	last    time.Time
	callers int
}

const (
	crowd         = 4 // callers of a group, from which on the next one waits
	fsyncInterval = 300 * time.Microsecond
)

func (p *pace) wait() {
	if p.callers < crowd {
		return
	}
	if early := fsyncInterval - time.Since(p.last); early > 0 {
		time.Sleep(early)
	}
}

func (p *pace) committing(callers int) { p.last, p.callers = time.Now(), callers }
