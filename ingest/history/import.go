package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
)

// Summary counts what an import did.
type Summary struct {
	Lines        int64 // read, empty ones aside
	ClientEvents int64
	Conversions  int64
	Catalog      int64 // events and optimizations
	Bad          int64
}

// Importer loads lines. Lines of any number of readers go to one Finish.
type Importer struct {
	Into    ingest.Inserter
	Catalog *catalog.Store
	Epoch   string // changes when rows were deleted, so that they can be loaded again

	// Reject is told of each bad line. Rejects takes their texts, each with its end; nil for nowhere.
	Reject  func(source string, number int64, reason error)
	Rejects io.Writer
	Tell    func(Summary) // told after each batch, may be nil

	reader   *bufio.Reader
	summary  Summary
	batch    batch
	accounts map[string]bool
	pending  []catalogLine
}

// catalogLine waits for Finish, since a change of the catalog is made whole.
type catalogLine struct {
	source string
	number int64
	text   []byte
	row    row
}

const (
	batchRows = 100_000

	// maxLineBytes bounds a line; a longer one is bad.
	maxLineBytes = 1 << 20
)

// Read loads every line of r; source names it in what Reject is told.
func (im *Importer) Read(ctx context.Context, source string, r io.Reader) error {
	if im.accounts == nil {
		im.accounts = map[string]bool{}
	}
	if im.reader == nil {
		im.reader = bufio.NewReaderSize(r, maxLineBytes)
	}
	reader := im.reader
	reader.Reset(r)
	for number := int64(1); ; number++ {
		text, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			text, err = nil, im.rejectLong(source, number, reader, text)
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\uFEFF"))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read line %d of %s: %w", number, source, err)
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			im.line(source, number, text)
		}
		if len(im.batch.clientEvents)+len(im.batch.conversions) >= batchRows {
			if flushErr := im.Flush(ctx); flushErr != nil {
				return flushErr
			}
		}
		if err != nil {
			return nil
		}
	}
}

// rejectLong rejects a line that may be of any length, and reads to its end. It returns the reader's error.
func (im *Importer) rejectLong(source string, number int64, reader *bufio.Reader, start []byte) (err error) {
	im.keep(start)
	for {
		more, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			im.keep(more)
		} else {
			im.keep(append(bytes.TrimRight(more, "\r\n"), '\n'))
			im.bad(source, number, fmt.Errorf("longer than %d bytes", maxLineBytes))
			return err
		}
	}
}

func (im *Importer) reject(source string, number int64, text []byte, reason error) {
	im.keep(text)
	im.keep([]byte("\n"))
	im.bad(source, number, reason)
}

func (im *Importer) bad(source string, number int64, reason error) {
	im.summary.Bad++
	im.Reject(source, number, reason)
}

// keep writes what is bad. A writer that fails must tell so itself, as a bufio.Writer does.
func (im *Importer) keep(text []byte) {
	if im.Rejects != nil {
		_, _ = im.Rejects.Write(text)
	}
}

func (im *Importer) line(source string, number int64, text []byte) {
	im.summary.Lines++
	r, err := parseLine(text)
	switch {
	case err != nil:
		im.reject(source, number, text, err)
	case r.clientEvent != nil:
		im.accounts[r.clientEvent.CustomerID] = true
		im.batch.clientEvents = append(im.batch.clientEvents, *r.clientEvent)
		im.summary.ClientEvents++
	case r.conversion != nil:
		im.accounts[r.conversion.CustomerID] = true
		im.batch.conversions = append(im.batch.conversions, *r.conversion)
		im.summary.Conversions++
	default:
		im.pending = append(im.pending, catalogLine{source, number, bytes.Clone(text), r})
	}
}

// Finish inserts what is left and applies the catalog's lines, in their order.
func (im *Importer) Finish(ctx context.Context) (Summary, error) {
	if err := im.Flush(ctx); err != nil {
		return im.summary, err
	}
	err := im.Catalog.Change(ctx, "import", func(e *catalog.Edit) error {
		for customerID := range im.accounts {
			if err := e.PutAccount(customerID, nil); err != nil {
				return err
			}
		}
		for i, err := range im.apply(e) {
			if l := im.pending[i]; err != nil {
				im.reject(l.source, l.number, l.text, err)
				continue
			}
			im.summary.Catalog++
		}
		return nil
	})
	return im.summary, err
}

// apply makes the changes of the pending lines and returns what is wrong with each.
func (im *Importer) apply(e *catalog.Edit) []error {
	errs := make([]error, len(im.pending))
	var names []catalog.EventName
	var lines []int // of names
	for i, l := range im.pending {
		if l.row.eventName != nil {
			names, lines = append(names, *l.row.eventName), append(lines, i)
			continue
		}
		o := l.row.optimization
		errs[i] = e.ReplaceOptimization(o.head, o.variations, o.goals)
	}
	for k, err := range e.ImportNames(names) {
		errs[lines[k]] = err
	}
	return errs
}

// Flush inserts what has been read and not been inserted yet.
func (im *Importer) Flush(ctx context.Context) error {
	if err := im.batch.insert(ctx, im.Into, im.Epoch); err != nil {
		return err
	}
	im.batch.reset()
	if im.Tell != nil {
		im.Tell(im.summary)
	}
	return nil
}
