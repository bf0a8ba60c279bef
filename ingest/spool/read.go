package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Batch is a run of records from the spool.
type Batch struct {
	Records    [][]byte
	Start, End Position
}

// Reader reads the spool from the cursor on. There is one.
type Reader struct {
	spool *Spool
	at    Position
	file  *os.File // of at.Segment, nil until it is needed
}

// NewReader returns a reader that begins at the cursor.
func (s *Spool) NewReader() *Reader {
	cursor, _ := s.Pending()
	return &Reader{spool: s, at: cursor}
}

// Close releases the reader's file.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// Next returns at least one record, waiting for it, and then as many as are there,
// up to maxRecords or the frame that passes it. A batch without records stands for a
// stretch of the spool that holds none; it is to be committed like any other.
func (r *Reader) Next(ctx context.Context, maxRecords int) (Batch, error) {
	for {
		r.spool.mu.Lock()
		end, grown, plan := r.spool.written, r.spool.grown, r.spool.plan
		r.spool.mu.Unlock()
		batch := Batch{Start: r.at, End: r.at}
		interrupted := r.at.Before(plan) // a batch that a crash cut off comes again as it was
		for r.at.Before(end) && (len(batch.Records) < maxRecords || interrupted) && (!interrupted || r.at.Before(plan)) {
			records, err := r.frame(batch.Records, end)
			if err != nil {
				return batch, err
			}
			batch.Records, batch.End = records, r.at
		}
		if batch.End != batch.Start {
			return batch, nil
		}
		select {
		case <-ctx.Done():
			return batch, ctx.Err()
		case <-grown:
		}
	}
}

// Begin makes a batch's bounds durable, before it is sent anywhere. The one before
// must have been committed.
func (r *Reader) Begin(batch Batch) error {
	s := r.spool
	if err := writeProgress(s.dir, progress{cursor: batch.Start, plan: batch.End}); err != nil {
		return err
	}
	s.mu.Lock()
	s.plan = batch.End
	s.mu.Unlock()
	return nil
}

// frame appends the records of the frame at r.at to before and moves behind it. There
// are none at the end of a segment and where bytes had to be put aside.
func (r *Reader) frame(before [][]byte, end Position) ([][]byte, error) {
	data, err := r.load(end)
	if err != nil {
		return nil, err
	}
	last := r.at.Segment == end.Segment // its bytes beyond end are still being written
	if len(data) == 0 {
		if !last {
			return before, r.nextSegment(end)
		}
		return before, nil
	}
	records, size, err := parseFrame(before, data)
	if err == nil {
		r.at.Offset += int64(size)
		return records, nil
	}
	until := end.Offset
	if !last {
		filled, found := endOf(r.file)
		if found != nil {
			return nil, fmt.Errorf("read the spool: %w", found)
		}
		if r.at.Offset >= filled { // made ahead, and not filled
			return before, r.nextSegment(end)
		}
		info, found := r.file.Stat()
		if found != nil {
			return nil, fmt.Errorf("read the spool: %w", found)
		}
		until = info.Size() // the last frame may end in zeros, too
	}
	skip, err := r.putAside(until, err)
	if err != nil {
		return nil, err
	}
	r.at.Offset += int64(skip)
	return before, nil
}

// load returns the frame at r.at, or what stands in its place.
func (r *Reader) load(end Position) ([]byte, error) {
	if r.file == nil {
		file, err := os.Open(r.spool.segmentPath(r.at.Segment))
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil // a segment that was never made, or is lost: skipped
		}
		if err != nil {
			return nil, fmt.Errorf("read the spool: %w", err)
		}
		r.file = file
	}
	limit := int64(maxFrameBytes + headerBytes)
	if r.at.Segment == end.Segment {
		limit = min(limit, end.Offset-r.at.Offset)
	}
	header := make([]byte, headerBytes)
	n, err := r.file.ReadAt(header[:min(limit, headerBytes)], r.at.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	if n < headerBytes || binary.LittleEndian.Uint32(header) != frameMagic {
		return header[:n], nil
	}
	data := make([]byte, min(limit, headerBytes+int64(binary.LittleEndian.Uint32(header[4:]))))
	n, err = r.file.ReadAt(data, r.at.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return data[:n], nil
}

// nextSegment goes on to the next segment that is there: numbers may be left out, and a stray
// file may have a very large one.
func (r *Reader) nextSegment(end Position) error {
	r.Close()
	segments, err := listSegments(r.spool.dir)
	if err != nil {
		return err
	}
	next := end.Segment
	if i, _ := slices.BinarySearch(segments, r.at.Segment+1); i < len(segments) {
		next = min(next, segments[i])
	}
	r.at = Position{Segment: max(next, r.at.Segment+1)}
	return nil
}

// putAside copies bytes that are no frame to quarantine/ and returns how many there
// are, up to the next good frame or to where the segment ends. A tail that a crash tore was
// never acknowledged; it is put aside all the same, without the zeros behind it.
func (r *Reader) putAside(until int64, reason error) (skip int, err error) {
	rest, err := io.ReadAll(io.NewSectionReader(r.file, r.at.Offset, until-r.at.Offset))
	if err != nil {
		return 0, fmt.Errorf("read the spool: %w", err)
	}
	skip = nextFrame(rest)
	damaged := rest[:skip]
	if skip == len(rest) {
		damaged = bytes.TrimRight(damaged, "\x00")
	}
	dir := filepath.Join(r.spool.dir, "quarantine")
	if err := makeFolder(dir); err != nil {
		return 0, fmt.Errorf("put damaged bytes aside: %w", err)
	}
	name := filepath.Join(dir, fmt.Sprintf("%016d-%d.bad", r.at.Segment, r.at.Offset))
	if err := writeDurably(name, damaged); err != nil {
		return 0, fmt.Errorf("put damaged bytes aside: %w", err)
	}
	r.spool.opts.Log.Error("damaged bytes in the spool were put aside", "reason", reason, "segment", r.at.Segment, "offset", r.at.Offset, "bytes", len(damaged), "file", name)
	return skip, nil
}

// nextFrame returns where in data, not at its start, the next whole frame begins.
func nextFrame(data []byte) int {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	for at := 1; at < len(data); at++ {
		i := bytes.Index(data[at:], magic[:])
		if i < 0 {
			break
		}
		at += i
		if _, _, err := parseFrame(nil, data[at:]); err == nil {
			return at
		}
	}
	return len(data)
}

// Commit says that everything before end is safe elsewhere: the cursor is made
// durable, then the segments behind it are deleted.
func (r *Reader) Commit(end Position) error {
	s := r.spool
	if err := writeProgress(s.dir, progress{cursor: end, plan: end}); err != nil {
		return err
	}
	s.mu.Lock()
	s.cursor = end
	s.changed()
	s.mu.Unlock()
	segments, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	for _, segment := range segments {
		if segment < end.Segment {
			if err := os.Remove(s.segmentPath(segment)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("delete a spool segment: %w", err)
			}
		}
	}
	return nil
}
