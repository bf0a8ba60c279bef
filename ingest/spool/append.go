package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"
)

// Append makes records durable, all in one frame, and returns after the fsync. It
// keeps no reference to them. An error means that they may not be on disk.
func (s *Spool) Append(ctx context.Context, records ...[]byte) error {
	size := 0
	for _, record := range records {
		size += len(record) + binary.MaxVarintLen64
	}
	if size > maxFrameBytes {
		return fmt.Errorf("append %d bytes to the spool: at most %d at once", size, maxFrameBytes)
	}
	if err := s.room.check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	group, err := s.waiting.add(records, size)
	if err != nil {
		return err
	}
	// From here on the records will be written, so their fate is awaited.
	<-group.done
	return group.err
}

// segment is the file that is being appended to.
type segment struct {
	file  segmentFile
	end   Position
	limit int64 // at this size the next one follows
	ahead bool  // its bytes were there before

	syncs   int
	counted int64 // the offset when syncs was last a multiple of aheadPays
}

// commitGroups writes what callers hand in, until Close: all that wait at the same
// time share one frame and one fsync.
func (s *Spool) commitGroups() {
	defer close(s.done)
	var open *segment
	defer func() {
		if open != nil {
			open.file.Close()
		}
		s.ahead.close()
	}()
	var pace pace
	for {
		pace.wait()
		group, more := s.waiting.take()
		if group == nil {
			if !more {
				return
			}
			<-s.waiting.wake
			continue
		}
		seal(group.frame)
		pace.committing(group.callers)
		open, group.err = s.commit(open, group.frame)
		s.waiting.reuse(group)
		close(group.done)
	}
}

// commit writes a frame and makes it durable. After any error the segment is left
// alone for good: what an fsync that failed has written is unknown, and a second
// one would report success.
func (s *Spool) commit(open *segment, frame []byte) (*segment, error) {
	if open == nil || open.end.Offset >= open.limit || !open.ahead && s.ahead.ready() {
		if open != nil {
			open.file.Close() // every frame in it was fsynced
		}
		next, err := s.nextSegment()
		if err != nil {
			return nil, err
		}
		open = next
	}
	_, err := open.file.WriteAt(frame, open.end.Offset)
	if err == nil {
		err = open.file.Sync()
	}
	if err != nil {
		open.file.Close()
		s.opts.Log.Error("the spool's segment cannot be written, the next event begins another one", "segment", open.end.Segment, "err", err)
		s.advance(Position{Segment: open.end.Segment + 1})
		return nil, fmt.Errorf("write the spool: %w", err)
	}
	open.end.Offset += int64(len(frame))
	s.advance(open.end)
	if open.syncs++; open.syncs%aheadPays == 0 {
		if open.end.Offset-open.counted <= aheadPays*smallFrame {
			s.ahead.begin()
		}
		open.counted = open.end.Offset
	}
	return open, nil
}

func (s *Spool) advance(to Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ages = note(s.ages, s.written, time.Now())
	s.written = to
	s.changed()
}

// nextSegment begins the segment behind all others. The folder is fsynced too, or the
// file's name could be lost.
func (s *Spool) nextSegment() (*segment, error) {
	_, last := s.Pending()
	next := &segment{end: Position{Segment: last.Segment}, limit: s.opts.SegmentBytes}
	if last.Offset > 0 {
		next.end.Segment++
	}
	path := s.segmentPath(next.end.Segment)
	if next.file = s.ahead.take(path); next.file != nil {
		next.ahead, next.limit = true, s.ahead.bytes
	} else {
		file, err := s.create(path)
		if err != nil {
			if os.IsExist(err) {
				s.advance(Position{Segment: next.end.Segment + 1}) // left by an attempt that failed below
			}
			return nil, fmt.Errorf("create a spool segment: %w", err)
		}
		next.file = file
	}
	if err := SyncFolder(s.dir); err != nil {
		next.file.Close()
		s.advance(Position{Segment: next.end.Segment + 1})
		return nil, fmt.Errorf("create a spool segment: %w", err)
	}
	s.advance(next.end)
	return next, nil
}
