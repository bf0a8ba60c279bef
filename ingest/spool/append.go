package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
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
	file segmentFile
	end  Position
}

// segmentFile is what a segment needs of *os.File; tests put in one that fails.
type segmentFile interface {
	io.WriteCloser
	Sync() error
}

func createSegment(path string) (segmentFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
	if open == nil || open.end.Offset >= s.opts.SegmentBytes {
		next, err := s.nextSegment(open)
		if err != nil {
			return open, err
		}
		open = next
	}
	_, err := open.file.Write(frame)
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
	return open, nil
}

func (s *Spool) advance(to Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ages = note(s.ages, s.written, time.Now())
	s.written = to
	s.changed()
}

// nextSegment closes the open segment and creates the one behind it. The folder is
// fsynced too, or the file's name could be lost.
func (s *Spool) nextSegment(open *segment) (*segment, error) {
	_, end := s.Pending()
	number := end.Segment
	if open != nil {
		open.file.Close() // every frame in it was fsynced
		number++
	}
	file, err := s.create(s.segmentPath(number))
	if err != nil {
		if os.IsExist(err) {
			s.advance(Position{Segment: number + 1}) // left by an attempt that failed below
		}
		return nil, fmt.Errorf("create a spool segment: %w", err)
	}
	if err := syncFolder(s.dir); err != nil {
		file.Close()
		s.advance(Position{Segment: number + 1})
		return nil, fmt.Errorf("create a spool segment: %w", err)
	}
	s.advance(Position{Segment: number})
	return &segment{file: file, end: Position{Segment: number}}, nil
}
