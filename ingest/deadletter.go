package ingest

import (
	"bufio"
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// DeadLetters is a file of rows that ClickHouse refused, one JSON object a line.
type DeadLetters struct {
	path string
	mu   sync.Mutex
}

// DeadLetter is one of them.
type DeadLetter struct {
	At     time.Time          `json:"at"`
	Table  string             `json:"table"` // client_events, conversions, adjustments, or record for one that can't be decoded
	Reason string             `json:"reason"`
	Row    stdjson.RawMessage `json:"row"`
}

// NewDeadLetters returns the dead letters of a data folder.
func NewDeadLetters(dataDir string) *DeadLetters {
	return &DeadLetters{path: filepath.Join(dataDir, "deadletter.ndjson")}
}

// Add appends a row; it is on disk when Add returns.
func (d *DeadLetters) Add(table string, row any, reason error) error {
	text, err := stdjson.Marshal(row)
	if err != nil {
		return err
	}
	release, err := d.hold()
	if err != nil {
		return err
	}
	defer release()
	if err := writeLetters(d.path, os.O_APPEND, []DeadLetter{{At: time.Now().UTC(), Table: table, Reason: reason.Error(), Row: text}}); err != nil {
		return err
	}
	return spool.SyncFolder(filepath.Dir(d.path)) // it may be the first one
}

// hold keeps others, in other processes too, from writing until release.
func (d *DeadLetters) hold() (release func(), err error) {
	d.mu.Lock()
	lock, err := os.OpenFile(d.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		d.mu.Unlock()
		return nil, fmt.Errorf("lock the dead letters: %w", err)
	}
	return func() {
		lock.Close()
		d.mu.Unlock()
	}, nil
}

// Forget deletes those for which of says so, and returns how many.
func (d *DeadLetters) Forget(of func(*DeadLetter) bool) (forgotten int, err error) {
	release, err := d.hold()
	if err != nil {
		return 0, err
	}
	defer release()
	letters, err := d.read()
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	kept := slices.DeleteFunc(slices.Clone(letters), func(l DeadLetter) bool { return of(&l) })
	if len(kept) == len(letters) {
		return 0, nil
	}
	return len(letters) - len(kept), d.put(kept)
}

// replace puts letters in the place of all others; after a crash the file holds the
// ones or the others.
func (d *DeadLetters) replace(letters []DeadLetter) error {
	release, err := d.hold()
	if err != nil {
		return err
	}
	defer release()
	return d.put(letters)
}

func (d *DeadLetters) put(letters []DeadLetter) error {
	fresh := d.path + ".new"
	if err := writeLetters(fresh, os.O_TRUNC, letters); err != nil {
		return err
	}
	if err := os.Rename(fresh, d.path); err != nil {
		return err
	}
	return spool.SyncFolder(filepath.Dir(d.path))
}

// writeLetters begins with an empty line: the one before may have been torn by a crash.
func writeLetters(path string, flag int, letters []DeadLetter) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString("\n"); err != nil {
		return err
	}
	encoder := stdjson.NewEncoder(file)
	for _, letter := range letters {
		if err := encoder.Encode(letter); err != nil {
			return err
		}
	}
	return file.Sync()
}

// List returns all of them.
func (d *DeadLetters) List() ([]DeadLetter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read()
}

func (d *DeadLetters) read() ([]DeadLetter, error) {
	text, err := os.ReadFile(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var letters []DeadLetter
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxInflatedBytes)
	for lines.Scan() {
		var letter DeadLetter
		if stdjson.Unmarshal(lines.Bytes(), &letter) == nil {
			letters = append(letters, letter)
		} // else it is empty, or was torn before the spool let go of its row
	}
	return letters, lines.Err()
}

// Retry inserts each again, and keeps those that are refused again. An error of another
// kind ends it; those it has not come to stay as they are. It must not run beside a
// service, which may add to the file meanwhile.
func (d *DeadLetters) Retry(ctx context.Context, into Inserter) (inserted, kept int, err error) {
	letters, err := d.List()
	if err != nil {
		return 0, 0, err
	}
	var left []DeadLetter
	for i, letter := range letters {
		refused := letter.insert(ctx, into)
		if refused == nil {
			inserted++
			continue
		}
		if !errors.Is(refused, warehouse.ErrBadRow) {
			left, err = append(left, letters[i:]...), refused
			break
		}
		letter.Reason = refused.Error()
		left = append(left, letter)
	}
	return inserted, len(left), errors.Join(err, d.replace(left))
}

// sameReason says why a row that can't be read is still no row.
type sameReason struct{ text string }

func (r *sameReason) Error() string { return r.text }
func (r *sameReason) Unwrap() error { return warehouse.ErrBadRow }

func (l *DeadLetter) insert(ctx context.Context, into Inserter) error {
	switch l.Table {
	case "client_events":
		var row warehouse.ClientEvent
		if err := stdjson.Unmarshal(l.Row, &row); err != nil {
			return fmt.Errorf("%w: %w", warehouse.ErrBadRow, err)
		}
		return into.InsertClientEvents(ctx, "", []warehouse.ClientEvent{row})
	case "conversions":
		var row warehouse.Conversion
		if err := stdjson.Unmarshal(l.Row, &row); err != nil {
			return fmt.Errorf("%w: %w", warehouse.ErrBadRow, err)
		}
		return into.InsertConversions(ctx, "", []warehouse.Conversion{row})
	case "adjustments":
		var row warehouse.Adjustment
		if err := stdjson.Unmarshal(l.Row, &row); err != nil {
			return fmt.Errorf("%w: %w", warehouse.ErrBadRow, err)
		}
		return into.InsertAdjustments(ctx, "", []warehouse.Adjustment{row})
	default:
		return &sameReason{l.Reason}
	}
}
