package spool

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// appendRequest is a group of records that one caller wants durable.
type appendRequest struct {
	records [][]byte
	bytes   int
	done    chan error
}

// Append makes records durable, all in one frame, and returns after the fsync. It
// keeps no reference to them. An error means that they may not be on disk.
func (s *Spool) Append(ctx context.Context, records ...[]byte) error {
	req := &appendRequest{records: records, done: make(chan error, 1)}
	for _, record := range records {
		req.bytes += len(record) + 10
	}
	if req.bytes > maxFrameBytes {
		return fmt.Errorf("append %d bytes to the spool: at most %d at once", req.bytes, maxFrameBytes)
	}
	if err := s.room.check(); err != nil {
		return err
	}
	select {
	case s.requests <- req:
	case <-s.stopped:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// From here on the record will be written, so its fate is awaited.
	return <-req.done
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

// commitGroups writes what callers hand in: all that wait at the same time share
// one frame and one fsync.
func (s *Spool) commitGroups() {
	defer close(s.done)
	var (
		open     *segment
		buf      []byte
		leftover *appendRequest
	)
	defer func() {
		if open != nil {
			open.file.Close()
		}
	}()
	var pace pace
	for {
		first := leftover
		leftover = nil
		if first == nil {
			select {
			case first = <-s.requests:
			case <-s.stopped:
				return
			}
		}
		pace.wait()
		var group []*appendRequest
		group, leftover = s.gather(first)
		pace.committing(len(group))
		buf = appendFrame(buf[:0], flatten(group))
		var err error
		open, err = s.commit(open, buf)
		for _, req := range group {
			req.done <- err
		}
	}
}

// pace keeps fsyncs apart while many callers append: one that comes a moment later
// carries more of them, and an fsync costs the processor as much as several requests.
// A caller who is alone is not held up.
type pace struct {
	last  time.Time
	group int
}

const (
	crowd         = 4 // requests in a group, from which on the next one waits
	fsyncInterval = 300 * time.Microsecond
)

func (p *pace) wait() {
	if p.group < crowd {
		return
	}
	if early := fsyncInterval - time.Since(p.last); early > 0 {
		time.Sleep(early)
	}
}

func (p *pace) committing(group int) { p.last, p.group = time.Now(), group }

// gather takes every request that waits now, up to the size of a frame; the one
// that no longer fits is handed back.
func (s *Spool) gather(first *appendRequest) (group []*appendRequest, leftover *appendRequest) {
	group = []*appendRequest{first}
	size := first.bytes
	for {
		select {
		case req := <-s.requests:
			if size+req.bytes > maxFrameBytes {
				return group, req
			}
			size += req.bytes
			group = append(group, req)
		default:
			return group, nil
		}
	}
}

func flatten(group []*appendRequest) [][]byte {
	records := make([][]byte, 0, len(group))
	for _, req := range group {
		records = append(records, req.records...)
	}
	return records
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
