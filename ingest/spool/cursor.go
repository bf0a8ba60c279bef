package spool

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const cursorName = "cursor"

// progress is what the cursor file holds: everything before cursor was committed,
// and the batch from there on, if one was begun, ends at plan. A batch that a crash
// interrupts is read again with the same bounds, so that ClickHouse can tell that it
// has it.
type progress struct {
	cursor, plan Position // plan is the cursor where no batch was begun
}

// readProgress returns the zero Position where there is no cursor yet.
func readProgress(dir string) (progress, error) {
	text, err := os.ReadFile(filepath.Join(dir, cursorName))
	if errors.Is(err, os.ErrNotExist) {
		return progress{}, nil
	}
	if err != nil {
		return progress{}, fmt.Errorf("read the cursor: %w", err)
	}
	var p progress
	var sum uint32
	if _, err := fmt.Sscanf(string(text), "%d %d %d %d %08x", &p.cursor.Segment, &p.cursor.Offset, &p.plan.Segment, &p.plan.Offset, &sum); err != nil {
		return progress{}, fmt.Errorf("read the cursor: %w", err)
	}
	if sum != crc32.Checksum([]byte(p.String()), castagnoli) {
		return progress{}, errors.New("read the cursor: its checksum is wrong")
	}
	return p, nil
}

func (p progress) String() string {
	return fmt.Sprintf("%d %d %d %d", p.cursor.Segment, p.cursor.Offset, p.plan.Segment, p.plan.Offset)
}

func writeProgress(dir string, p progress) error {
	text := fmt.Sprintf("%s %08x\n", p, crc32.Checksum([]byte(p.String()), castagnoli))
	if err := writeDurably(filepath.Join(dir, cursorName), []byte(text)); err != nil {
		return fmt.Errorf("write the cursor: %w", err)
	}
	return nil
}

// writeDurably replaces path by data; after a crash it holds the old or the new.
func writeDurably(path string, data []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// makeFolder makes a folder if there is none; it is durable when makeFolder returns.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(dir))
}

// SyncFolder makes durable which files a folder holds.
func SyncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Extent returns the cursor and the end of the spool in dir, from outside the
// process that holds it. The spool is drained when the cursor is not before the end,
// which lies in the last frame or behind it.
func Extent(dir string) (cursor, end Position, err error) {
	segments, err := listSegments(dir)
	if errors.Is(err, os.ErrNotExist) {
		return cursor, end, nil
	}
	if err != nil {
		return cursor, end, err
	}
	// After the list: what is committed meanwhile only brings the cursor nearer.
	done, err := readProgress(dir)
	if err != nil {
		return cursor, end, err
	}
	cursor = done.cursor
	for _, segment := range segments {
		size, err := dataEnd(filepath.Join(dir, fmt.Sprintf("%016d%s", segment, segmentSuffix)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return cursor, end, err
		}
		if size > 0 {
			end = Position{Segment: segment, Offset: size}
		}
	}
	return cursor, end, nil
}
