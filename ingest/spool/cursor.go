package spool

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

const cursorName = "cursor"

// readCursor returns the zero Position where there is no cursor yet.
func readCursor(dir string) (Position, error) {
	text, err := os.ReadFile(filepath.Join(dir, cursorName))
	if errors.Is(err, os.ErrNotExist) {
		return Position{}, nil
	}
	if err != nil {
		return Position{}, fmt.Errorf("read the cursor: %w", err)
	}
	var p Position
	var sum uint32
	if _, err := fmt.Sscanf(string(text), "%d %d %08x", &p.Segment, &p.Offset, &sum); err != nil {
		return Position{}, fmt.Errorf("read the cursor: %w", err)
	}
	if sum != cursorSum(p) {
		return Position{}, errors.New("read the cursor: its checksum is wrong")
	}
	return p, nil
}

func writeCursor(dir string, p Position) error {
	text := fmt.Sprintf("%d %d %08x\n", p.Segment, p.Offset, cursorSum(p))
	if err := writeDurably(filepath.Join(dir, cursorName), []byte(text)); err != nil {
		return fmt.Errorf("write the cursor: %w", err)
	}
	return nil
}

func cursorSum(p Position) uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %d", p.Segment, p.Offset), castagnoli)
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
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Extent returns the cursor and the end of the spool in dir, from outside the
// process that holds it. The spool is drained when the cursor is not before the end.
func Extent(dir string) (cursor, end Position, err error) {
	segments, err := listSegments(dir)
	if errors.Is(err, os.ErrNotExist) {
		return cursor, end, nil
	}
	if err != nil {
		return cursor, end, err
	}
	// After the list: what is committed meanwhile only brings the cursor nearer.
	if cursor, err = readCursor(dir); err != nil {
		return cursor, end, err
	}
	for _, segment := range segments {
		info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%016d%s", segment, segmentSuffix)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return cursor, end, err
		}
		if info.Size() > 0 {
			end = Position{Segment: segment, Offset: info.Size()}
		}
	}
	return cursor, end, nil
}
