package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// putUntilAhead appends records, each by itself, until a segment that was made ahead is
// written to; it returns all of them as "0 1 2".
func putUntilAhead(t *testing.T, s *Spool) string {
	t.Helper()
	var texts []string
	for i := range 100 * aheadPays {
		texts = append(texts, fmt.Sprint(i))
		put(t, s, fmt.Sprint(i))
		for _, path := range segments(t, s.dir) {
			if info, err := os.Stat(path); err == nil && info.Size() == s.ahead.bytes {
				put(t, s, "last")
				return strings.Join(append(texts, "last"), " ")
			}
		}
	}
	t.Fatalf("no segment was made ahead within %d fsyncs", 100*aheadPays)
	return ""
}

func TestSegmentMadeAhead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 100_000})
	want := putUntilAhead(t, s)
	if bytes, _ := s.Backlog(); bytes > 100_000 {
		t.Errorf("%d bytes wait, zeros counted in", bytes)
	}
	if cursor, end, err := Extent(dir); err != nil || !cursor.Before(end) {
		t.Errorf("from outside: %v %v %v", cursor, end, err)
	}
	s.Close() // with zeros behind the last frame, as a crash leaves them
	if _, err := os.Stat(filepath.Join(dir, aheadName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file made ahead is left behind: %v", err)
	}
	s = open(t, dir, Options{SegmentBytes: 100_000})
	if bytes, _ := s.Backlog(); bytes > 100_000 {
		t.Errorf("%d bytes wait after a restart, zeros counted in", bytes)
	}
	put(t, s, "new")
	if got := rest(t, s); got != want+" new" {
		t.Errorf("read %q, expected %q", got, want+" new")
	}
	if bytes, _ := s.Backlog(); bytes != 0 {
		t.Errorf("%d bytes wait in a drained spool", bytes)
	}
	if cursor, end, err := Extent(dir); err != nil || cursor.Before(end) {
		t.Errorf("drained, from outside: %v %v %v", cursor, end, err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "quarantine", "*")); len(aside) > 0 {
		t.Errorf("put aside: %v", aside)
	}
}

func TestFullSegmentMadeAheadIsFollowed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 2000})
	want := putUntilAhead(t, s)
	for i := range 500 {
		text := fmt.Sprintf("more-%d-%s", i, strings.Repeat("x", i%50))
		put(t, s, text)
		want += " " + text
	}
	if got := rest(t, s); got != want {
		t.Errorf("read %q, expected %q", got, want)
	}
	if left := segments(t, dir); len(left) > 1 {
		t.Errorf("%v are left behind the cursor", left)
	}
}

func TestFailedFsyncOfASegmentMadeAhead(t *testing.T) {
	s := open(t, t.TempDir(), Options{SegmentBytes: 100_000})
	s.create = func(path string) (segmentFile, error) {
		file, err := createSegment(path)
		fails := 100 * aheadPays
		if strings.HasSuffix(path, aheadName) {
			fails = 4 // the first is of the zeros, the next two of records
		}
		return &failingFile{segmentFile: file, fails: fails}, err
	}
	want := putUntilAhead(t, s)
	if err := s.Append(t.Context(), []byte("unknown")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Append with a failing fsync gives %v", err)
	}
	put(t, s, "b")
	if got := rest(t, s); got != want+" unknown b" && got != want+" b" {
		t.Errorf("read %q", got)
	}
}

// TestNothingIsMadeAhead where it can't be, where the disk has little room and where
// it would not pay.
func TestNothingIsMadeAhead(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int  // of a record
		room  bool // for a segment
		tried bool
	}{
		{"no room", 1, false, false},
		{"large frames", smallFrame + 1, true, false},
		{"it fails", 1, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			if !c.room {
				s.ahead.bytes = 1 << 60
			}
			tries := 0 // read when the spool is closed
			s.create = func(path string) (segmentFile, error) {
				file, err := createSegment(path)
				if !strings.HasSuffix(path, aheadName) {
					return file, err
				}
				tries++
				return &failingFile{segmentFile: file, fails: 2}, err
			}
			var want []string
			for i := range 3 * aheadPays {
				want = append(want, fmt.Sprintf("%0*d", c.size, i))
				put(t, s, want[i])
			}
			if got := rest(t, s); got != strings.Join(want, " ") {
				t.Errorf("%d bytes came back, other ones than were put in", len(got))
			}
			s.Close()
			if (tries > 0) != c.tried {
				t.Errorf("it was tried %d times", tries)
			}
			if _, err := os.Stat(filepath.Join(dir, aheadName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file made ahead is left: %v", err)
			}
		})
	}
}
