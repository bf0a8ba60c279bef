package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, opts Options) *Spool {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Spool, records ...string) {
	t.Helper()
	for _, record := range records {
		if err := s.Append(t.Context(), []byte(record)); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
}

// rest reads and commits everything from the cursor on, as "a b c".
func rest(t *testing.T, s *Spool) string {
	t.Helper()
	r := s.NewReader()
	defer r.Close()
	var texts []string
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		batch, err := r.Next(ctx, 2)
		cancel()
		if err != nil && ctx.Err() == nil {
			t.Fatalf("next: %v", err)
		}
		if err != nil {
			return strings.Join(texts, " ")
		}
		for _, record := range batch.Records {
			texts = append(texts, string(record))
		}
		if err := r.Commit(batch.End); err != nil {
			t.Fatalf("commit: %v", err)
		}
	}
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRecordsComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 40})
	put(t, s, "a", "b", "c", "d", "e")
	if err := s.Append(t.Context(), []byte("f"), nil, []byte("h")); err != nil {
		t.Fatal(err)
	}
	if got := rest(t, s); got != "a b c d e f  h" {
		t.Errorf("read %q", got)
	}
	if n := len(segments(t, dir)); n > 1 {
		t.Errorf("%d segments are left behind the cursor", n)
	}
	if err := s.WaitDrained(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhatWasNotCommittedIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	put(t, s, "a", "b")
	r := s.NewReader()
	batch, err := r.Next(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(batch.End); err != nil {
		t.Fatal(err)
	}
	r.Close()
	s.Close()
	if cursor, end, err := Extent(dir); err != nil || !cursor.Before(end) {
		t.Errorf("from outside: %v %v %v", cursor, end, err)
	}
	s = open(t, dir, Options{})
	put(t, s, "c")
	if got := rest(t, s); got != "b c" {
		t.Errorf("read %q", got)
	}
	if cursor, end, err := Extent(dir); err != nil || cursor.Before(end) {
		t.Errorf("drained, from outside: %v %v %v", cursor, end, err)
	}
}

// TestInterruptedBatchKeepsItsBounds matters for deduplication: what ClickHouse was
// sent before a crash must be sent again as the same batch.
func TestInterruptedBatchKeepsItsBounds(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	put(t, s, "a", "b", "c")
	r := s.NewReader()
	before, err := r.Next(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(before); err != nil {
		t.Fatal(err)
	}
	r.Close()
	s.Close()
	s = open(t, dir, Options{})
	put(t, s, "d")
	r = s.NewReader()
	defer r.Close()
	again, err := r.Next(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if again.Start != before.Start || again.End != before.End || len(again.Records) != 2 {
		t.Errorf("the batch was %v to %v, came again as %v to %v", before.Start, before.End, again.Start, again.End)
	}
	if err := r.Commit(again.End); err != nil {
		t.Fatal(err)
	}
	if next, err := r.Next(t.Context(), 100); err != nil || len(next.Records) != 2 {
		t.Errorf("the next batch has %d records (%v)", len(next.Records), err)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	s := open(t, t.TempDir(), Options{MinFreeBytes: 1 << 60})
	if err := s.Append(t.Context(), []byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("with too little room: %v", err)
	}
	s.room.mu.Lock()
	s.room.least, s.room.checked = 1, time.Time{}
	s.room.mu.Unlock()
	put(t, s, "y")
	if got := rest(t, s); got != "y" {
		t.Errorf("read %q", got)
	}
}

// TestBacklogTellsTheOldest appends at four moments, and commits as far as the second.
func TestBacklogTellsTheOldest(t *testing.T) {
	start := time.Now()
	var ages []age
	for i := range 4 {
		ages = note(ages, Position{1, int64(100 * i)}, start.Add(time.Duration(i)*time.Minute))
		ages = note(ages, Position{1, int64(100*i + 50)}, start.Add(time.Duration(i)*time.Minute+time.Millisecond))
	}
	for _, c := range []struct {
		cursor int64
		oldest time.Duration
	}{{0, 0}, {50, 0}, {100, time.Minute}, {250, 2 * time.Minute}, {399, 3 * time.Minute}} {
		if got := forget(slices.Clone(ages), Position{1, c.cursor}, Position{1, 400})[0].since.Sub(start); got != c.oldest {
			t.Errorf("with the cursor at %d the oldest is from %s, expected %s", c.cursor, got, c.oldest)
		}
	}
	if left := forget(ages, Position{1, 400}, Position{1, 400}); len(left) != 0 {
		t.Errorf("drained, %v is left", left)
	}
	for i := range 10 * maxAges {
		ages = note(ages, Position{2, int64(i)}, start.Add(time.Duration(i)*time.Hour))
	}
	if len(ages) > maxAges {
		t.Errorf("%d marks", len(ages))
	}
}

func TestManyWritersShareFrames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := s.Append(t.Context(), fmt.Appendf(nil, "%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, record := range strings.Fields(rest(t, s)) {
		seen[record] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d records came back, %d were put in", len(seen), writers*each)
	}
}

// TestDamage damages the one segment that a crash left, and says what must come back.
func TestDamage(t *testing.T) {
	frame := len(frameOf("aaaa"))
	for _, c := range []struct {
		name   string
		damage func(data []byte) []byte
		want   string
		aside  bool
	}{
		{"none", func(d []byte) []byte { return d }, "aaaa bbbb cccc new", false},
		{"torn tail", func(d []byte) []byte { return d[:len(d)-3] }, "aaaa bbbb new", true},
		{"torn header", func(d []byte) []byte { return d[:2*frame+5] }, "aaaa bbbb new", true},
		{"zero-filled tail", func(d []byte) []byte { return append(d, make([]byte, 500)...) }, "aaaa bbbb cccc new", false},
		{"torn tail before zeros", func(d []byte) []byte { return append(d[:len(d)-3], make([]byte, 200_000)...) }, "aaaa bbbb new", true},
		{"bit flip before zeros", func(d []byte) []byte { d[frame] ^= 1; return append(d, make([]byte, 200_000)...) }, "aaaa cccc new", true},
		{"zeros only", func([]byte) []byte { return make([]byte, 200_000) }, "new", false},
		{"bit flip in a payload", func(d []byte) []byte { d[frame+headerBytes+2] ^= 4; return d }, "aaaa cccc new", true},
		{"bit flip in a length", func(d []byte) []byte { d[frame+5] ^= 1; return d }, "aaaa cccc new", true},
		{"bit flip in the magic", func(d []byte) []byte { d[0] ^= 1; return d }, "bbbb cccc new", true},
		{"empty", func([]byte) []byte { return nil }, "new", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			put(t, s, "aaaa", "bbbb", "cccc")
			s.Close()
			file := segments(t, dir)[0]
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, c.damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, Options{})
			put(t, s, "new")
			if got := rest(t, s); got != c.want {
				t.Errorf("read %q, expected %q", got, c.want)
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "quarantine", "*"))
			if (len(aside) > 0) != c.aside {
				t.Errorf("put aside: %v", aside)
			}
			if err := s.WaitDrained(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMissingAndStale(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 1})
	put(t, s, "a", "b", "c")
	s.Close()
	if err := os.Remove(segments(t, dir)[1]); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if got := rest(t, s); got != "a c" {
		t.Errorf("with a missing segment: %q", got)
	}
	s.Close()
	for _, cursor := range []string{"", "garbage", "1 0 1 0 00000000\n"} {
		if err := os.WriteFile(filepath.Join(dir, cursorName), []byte(cursor), 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Options{})
		put(t, s, "d")
		if got := rest(t, s); !strings.HasSuffix(got, "d") {
			t.Errorf("with the cursor %q: %q", cursor, got)
		}
		s.Close()
	}
}

func TestOneProcessHoldsASpool(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := Open(dir, Options{}); err != ErrInUse {
		t.Errorf("a second Open gives %v", err)
	}
	s.Close()
	if err := s.Append(t.Context(), []byte("x")); err != ErrClosed {
		t.Errorf("Append after Close gives %v", err)
	}
}

// TestLockIsTheFoldersOwn: whatever is deleted in the folder, a second service is kept out.
func TestLockIsTheFoldersOwn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Holder: "serve"})
	put(t, s, "a")
	for _, name := range []string{"lock", holderName, "id", cursorName} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	if _, err := Open(dir, Options{Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if got := rest(t, s); got != "a" {
		t.Errorf("read %q", got)
	}
}

// TestStraySegment: a file with a huge number, or one that no segment can have, must not make
// the reader count up to it.
func TestStraySegment(t *testing.T) {
	for name, content := range map[string][]byte{
		"0999999999999999.seg": frameOf("stray"), "9999999999999999.seg": []byte("not a frame"), "7.seg": frameOf("short"),
		"18446744073709551615.seg": frameOf("beyond"), "00000000000000000000001.seg": nil,
	} {
		dir := t.TempDir()
		s := open(t, dir, Options{})
		put(t, s, "a", "b")
		s.Close()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, Options{})
		put(t, s, "c")
		want := "a b c"
		if name == "0999999999999999.seg" {
			want = "a b stray c" // it is where a segment would be, and is read like one
		}
		if got := rest(t, s); got != want {
			t.Errorf("with %s: read %q, expected %q", name, got, want)
		}
	}
}

func TestDiskThatRefusesIsToldAndRecoversByItself(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 1})
	put(t, s, "a")
	// The next segment can't be created where a folder has its name.
	obstacle := s.segmentPath(2)
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []byte("lost")); err == nil {
		t.Fatal("Append says nothing of a segment that can't be created")
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	put(t, s, "b")
	if got := rest(t, s); got != "a b" {
		t.Errorf("read %q", got)
	}
}

// failingFile gives EIO at its second fsync, or at one that is told.
type failingFile struct {
	segmentFile
	syncs, fails int
}

func (f *failingFile) Sync() error {
	f.syncs++
	if f.syncs == max(f.fails, 2) {
		return syscall.EIO
	}
	return f.segmentFile.Sync()
}

// TestFailedFsyncPoisonsItsSegment: what an fsync that failed has written is unknown,
// and a second one on the same file would report success.
func TestFailedFsyncPoisonsItsSegment(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var files []*failingFile
	s.create = func(path string) (segmentFile, error) {
		file, err := createSegment(path)
		f := &failingFile{segmentFile: file}
		files = append(files, f)
		return f, err
	}
	put(t, s, "a")
	if err := s.Append(t.Context(), []byte("unknown")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Append with a failing fsync gives %v", err)
	}
	put(t, s, "b")
	if len(files) != 2 || files[0].syncs != 2 {
		t.Errorf("%d segments, %d fsyncs of the first", len(files), files[0].syncs)
	}
	if got := rest(t, s); got != "a unknown b" && got != "a b" {
		t.Errorf("read %q", got)
	}
}

func frameOf(records ...string) []byte {
	frame := newFrame(nil)
	for _, record := range records {
		frame = appendRecord(frame, []byte(record))
	}
	seal(frame)
	return frame
}

// FuzzReader reads a segment that begins with anything at all: what was written whole
// behind it comes back.
func FuzzReader(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte("TBK1"), 20)
	f.Add(frameOf("a", "", "bc"), 100)
	f.Add(frameOf("torn")[:14], 0)
	f.Add(make([]byte, 50), 50)
	f.Add([]byte("TBK1"), 5)
	f.Fuzz(func(t *testing.T, damage []byte, zeros int) {
		dir := t.TempDir()
		zeros &= 1<<10 - 1
		good := "good" + strings.Repeat("\x00", zeros%4) // as records that end in an empty field
		data := slices.Concat(damage, make([]byte, zeros), frameOf(good), make([]byte, zeros))
		end := Position{Segment: 2}
		s := &Spool{dir: dir, opts: Options{Log: slog.New(slog.DiscardHandler)}, written: end}
		if err := os.WriteFile(s.segmentPath(1), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := &Reader{spool: s, at: Position{Segment: 1}}
		defer r.Close()
		var last string
		for r.at.Before(end) { // one that gets nowhere is seen by the test never ending
			batch, err := r.Next(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, record := range batch.Records {
				last = string(record)
			}
		}
		if last != good {
			t.Errorf("the last record is %q, expected %q", last, good)
		}
	})
}
