package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Wipe overwrites with zeros what the spool in dir holds and does not need any more, everything before the cursor, and
// deletes bytes that were put aside and hold one of the texts. It may run alongside the process that holds the spool: that one
// writes and reads behind the cursor only, and skips zeros after a crash.
func Wipe(dir string, texts ...string) error {
	done, err := readProgress(dir)
	if err != nil {
		return fmt.Errorf("wipe the spool: %w", err)
	}
	segments, err := listSegments(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wipe the spool: %w", err)
	}
	for _, segment := range segments {
		path := filepath.Join(dir, fmt.Sprintf("%016d%s", segment, segmentSuffix))
		switch {
		case segment > done.cursor.Segment:
		case segment < done.cursor.Segment:
			err = wipeFile(path, -1)
		default:
			err = wipeFile(path, done.cursor.Offset)
		}
		if err != nil {
			return fmt.Errorf("wipe the spool: %w", err)
		}
	}
	return wipeAside(filepath.Join(dir, "quarantine"), texts)
}

// wipeFile overwrites the first bytes of a file, all where there is no limit. One that is gone meanwhile needs none of it.
func wipeFile(path string, limit int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if limit < 0 || limit > info.Size() {
		limit = info.Size()
	}
	zeros := make([]byte, min(limit, 1<<20))
	for at := int64(0); at < limit; at += int64(len(zeros)) {
		if _, err := file.WriteAt(zeros[:min(int64(len(zeros)), limit-at)], at); err != nil {
			return err
		}
	}
	return file.Sync()
}

func wipeAside(dir string, texts []string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the damaged bytes: %w", err)
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("look at the damaged bytes: %w", err)
		}
		for _, text := range texts {
			if text != "" && bytes.Contains(data, []byte(text)) {
				if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("delete damaged bytes: %w", err)
				}
			}
		}
	}
	return SyncFolder(dir)
}
