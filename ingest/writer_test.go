package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// fakeTable stands for ClickHouse where its failures are what is tested.
type fakeTable struct {
	mu       sync.Mutex
	failures []error // of the next calls
	bad      string  // an actionId that is refused
	tokens   []string
	actions  []string
}

func (f *fakeTable) InsertClientEvents(context.Context, string, []warehouse.ClientEvent) error {
	return nil
}

func (f *fakeTable) InsertConversions(_ context.Context, token string, rows []warehouse.Conversion) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	f.tokens = append(f.tokens, token)
	if len(f.failures) > 0 {
		err := f.failures[0]
		f.failures = f.failures[1:]
		return err
	}
	var actions []string
	for _, row := range rows {
		if row.ActionID == f.bad {
			return fmt.Errorf("insert: %w", warehouse.ErrBadRow)
		}
		actions = append(actions, row.ActionID)
	}
	f.actions = append(f.actions, actions...)
	return nil
}

func (f *fakeTable) InsertAdjustments(context.Context, string, []warehouse.Adjustment) error {
	return nil
}

// drainInto puts n conversions into a spool and drains it.
func drainInto(t *testing.T, table *fakeTable, n int) *Writer {
	t.Helper()
	dir := t.TempDir()
	s, err := spool.Open(dir, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var records [][]byte
	for i := range n {
		records = append(records, EncodeConversion(nil, &warehouse.Conversion{ActionID: fmt.Sprint(i)}))
	}
	if err := s.Append(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(s, table, NewDeadLetters(dir), NewMetrics(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	if err := s.WaitDrained(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWriterTriesAgainWithTheSameToken(t *testing.T) {
	table := &fakeTable{failures: []error{errors.New("connection reset"), errors.New("timeout")}}
	drainInto(t, table, 3)
	if len(table.tokens) != 3 || len(slices.Compact(table.tokens)) != 1 || len(table.actions) != 3 {
		t.Errorf("tokens %v, inserted %v", table.tokens, table.actions)
	}
}

// TestTokenTellsTheContent: a spool whose cursor was lost begins to count anew.
func TestTokenTellsTheContent(t *testing.T) {
	s, err := spool.Open(t.TempDir(), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &Writer{spool: s}
	token := func(record string) string {
		return w.token(spool.Batch{Records: [][]byte{[]byte("a"), []byte(record)}})
	}
	if first, again, other := token("b"), token("b"), token("c"); first != again || first == other {
		t.Errorf("%s, once more %s, with other content %s", first, again, other)
	}
}

func TestWriterFindsTheRowThatIsRefused(t *testing.T) {
	table := &fakeTable{bad: "37"}
	w := drainInto(t, table, 100)
	if len(table.actions) != 99 || slices.Contains(table.actions, "37") {
		t.Errorf("%d inserted", len(table.actions))
	}
	letters, err := w.deadLetters.List()
	if err != nil || len(letters) != 1 || letters[0].Table != "conversions" {
		t.Fatalf("dead letters %+v (%v)", letters, err)
	}
	if inserted, kept, err := w.deadLetters.Retry(t.Context(), table); inserted != 0 || kept != 1 || err != nil {
		t.Errorf("refused again: %d inserted, %d kept (%v)", inserted, kept, err)
	}
	reason := func() string {
		letters, err := w.deadLetters.List()
		if err != nil || len(letters) != 1 {
			t.Fatalf("dead letters %+v (%v)", letters, err)
		}
		return letters[0].Reason
	}
	before := reason()
	table.failures = []error{errors.New("connection refused")}
	if inserted, kept, err := w.deadLetters.Retry(t.Context(), table); inserted != 0 || kept != 1 || err == nil || reason() != before {
		t.Errorf("an outage: %d inserted, %d kept, for %q (%v)", inserted, kept, reason(), err)
	}
	table.bad = ""
	if inserted, kept, err := w.deadLetters.Retry(t.Context(), table); inserted != 1 || kept != 0 || err != nil {
		t.Errorf("mended: %d inserted, %d kept (%v)", inserted, kept, err)
	}
	if letters, err := w.deadLetters.List(); len(letters) != 0 || err != nil || !slices.Contains(table.actions, "37") {
		t.Errorf("left %v (%v)", letters, err)
	}
}

// TestTornDeadLetter leaves half a line, as a crash does.
func TestTornDeadLetter(t *testing.T) {
	d := NewDeadLetters(t.TempDir())
	if err := d.Add("conversions", warehouse.Conversion{ActionID: "1"}, errors.New("bad")); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString(`{"at":"2026-09-`)
	file.Close()
	if err := d.Add("conversions", warehouse.Conversion{ActionID: "2"}, errors.New("bad")); err != nil {
		t.Fatal(err)
	}
	if letters, err := d.List(); err != nil || len(letters) != 2 {
		t.Errorf("%d letters are left (%v)", len(letters), err)
	}
	if inserted, kept, err := d.Retry(t.Context(), &fakeTable{bad: "2"}); inserted != 1 || kept != 1 || err != nil {
		t.Errorf("%d inserted, %d kept (%v)", inserted, kept, err)
	}
	if letters, err := d.List(); err != nil || len(letters) != 1 {
		t.Errorf("%d letters are left (%v)", len(letters), err)
	}
}
