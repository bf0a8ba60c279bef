package history

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// Warning is what will probably not do what a file's author means. It stops nothing.
type Warning struct {
	Lines int64
	Text  string // what those lines have in common
}

// Known says which rows are there already.
type Known interface {
	// ConversionsByKey returns what is known of the conversions with the same keys, by the place of the row.
	ConversionsByKey(ctx context.Context, rows []warehouse.Conversion) (map[int]warehouse.KnownConversion, error)
	// KnownClientEvents returns the places of those that are there. Where some carry ids that were given to them,
	// rows must be alike in all: one id may be that of several events (R5).
	KnownClientEvents(ctx context.Context, rows []warehouse.ClientEvent, givenIDs bool) (map[int]bool, error)
	KnownConversions(ctx context.Context, rows []warehouse.Conversion) (map[uuid.UUID]bool, error)
	KnownAdjustments(ctx context.Context, rows []warehouse.Adjustment) (map[uuid.UUID]bool, error)
}

// Importer loads lines. Lines of any number of readers go to one Finish.
type Importer struct {
	Into    ingest.Inserter
	Known   Known // what is there before the import; nil for nothing
	Catalog *catalog.Store
	Epoch   string         // changes when rows were deleted, so that they can be loaded again
	Zone    *time.Location // of times in tables that have none; nil refuses them
	Now     time.Time      // the moment of the import
	Restate bool           // values that differ from those known become adjustments
	DryRun  bool           // nothing is stored

	// Reject is called with each bad line, or element of an array; nil where Faults is enough. Rejects takes their texts, each with its end; nil for nowhere.
	Reject  func(where string, reason error)
	Rejects io.Writer
	Tell    func(Summary) // told after each batch, may be nil
	// Preview is called with the first rows, as they are understood; may be nil.
	Preview func(Place, Row)

	reader   *bufio.Reader
	summary  Summary
	warnings map[string]int64 // by their texts
	faults   faultLog
	previews int
	batch    batch
	accounts map[string]bool
	pending  []catalogLine
	made     []string
	restated map[string]int64 // how often values of a conversion were taken over, by its key
}

// NewImporter returns one that loads into db what is not there yet.
func NewImporter(ctx context.Context, db *warehouse.DB, store *catalog.Store, now time.Time) (*Importer, error) {
	epoch, err := db.DeletionEpoch(ctx)
	if err != nil {
		return nil, err
	}
	known, err := db.NewHistory(ctx)
	if err != nil {
		return nil, err
	}
	return &Importer{Into: db, Known: known, Epoch: epoch, Catalog: store, Now: now.UTC().Truncate(time.Millisecond)}, nil
}

// Made lists the accounts that the import has made, as its lines name them.
func (im *Importer) Made() []string { return im.made }

// Faults returns what is wrong with the lines that were not loaded, by kind and source, those of the most lines first.
func (im *Importer) Faults() []*Faults { return im.faults.list() }

// Warnings returns what to say of lines that were loaded, the most frequent first.
func (im *Importer) Warnings() []Warning {
	var list []Warning
	for text, lines := range im.warnings {
		list = append(list, Warning{lines, text})
	}
	slices.SortFunc(list, func(a, b Warning) int { return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.Text, b.Text)) })
	return list
}

// catalogLine waits for Finish, since a change of the catalog is made whole.
type catalogLine struct {
	at   Place
	text []byte
	row  row
}

const (
	batchRows = 100_000

	// maxLineBytes bounds a line; a longer one is bad.
	maxLineBytes = 1 << 20
)

// Read loads every line of r, or every element of the one array that it is; source names it in
// what Reject is told. The error of one that is neither is ErrNotLines.
func (im *Importer) Read(ctx context.Context, source string, r io.Reader) error {
	reader, start, err := im.begin(source, r)
	if err != nil {
		return err
	}
	if err := looksWrong(start, false); err != nil {
		return fmt.Errorf("%s is %w", source, err)
	}
	if text := bytes.TrimLeft(start, " \t\r\n"); len(text) > 0 && text[0] == '[' {
		return im.readArray(ctx, source, reader)
	}
	return im.readLines(ctx, source, reader)
}

// begin returns a reader and what it begins with, a byte order mark aside.
func (im *Importer) begin(source string, r io.Reader) (reader *bufio.Reader, start []byte, err error) {
	if im.accounts == nil {
		im.accounts, im.warnings, im.restated = map[string]bool{}, map[string]int64{}, map[string]int64{}
	}
	if im.reader == nil {
		im.reader = bufio.NewReaderSize(r, maxLineBytes)
	}
	im.reader.Reset(r)
	if start, err = im.reader.Peek(sniffed); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("read %s: %w", source, err)
	}
	if bytes.HasPrefix(start, []byte("\uFEFF")) {
		_, _ = im.reader.Discard(len("\uFEFF")) // it is there
		start = start[len("\uFEFF"):]
	}
	return im.reader, start, nil
}

// sniffed is how much of a file is looked at to know what it is.
const sniffed = 4 << 10

func (im *Importer) readLines(ctx context.Context, source string, reader *bufio.Reader) error {
	for number := int64(1); ; number++ {
		at := Place{source, "line", number}
		text, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			text, err = nil, im.rejectLong(at, reader, text)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", at, err)
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			im.line(at, text)
		}
		if flushErr := im.flushFull(ctx); flushErr != nil {
			return flushErr
		}
		if err != nil {
			return nil
		}
	}
}

// readArray loads the elements of an array. Where it is no JSON any more it ends.
func (im *Importer) readArray(ctx context.Context, source string, reader *bufio.Reader) error {
	// What an element has twice, or is no UTF-8, is its own fault.
	decoder := jsontext.NewDecoder(reader, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := decoder.ReadToken(); err != nil {
		return fmt.Errorf("read %s: %w", source, syntaxError(err))
	}
	for number := int64(1); ; number++ {
		at := Place{source, "element", number}
		if decoder.PeekKind() == ']' {
			break
		}
		text, err := decoder.ReadValue()
		if err != nil {
			return fmt.Errorf("read %s: %w; the elements before it were loaded", at, syntaxError(err))
		}
		if len(text) > maxLineBytes {
			im.summary.Lines++
			im.reject(at, text, fmt.Errorf("longer than %d bytes", maxLineBytes))
			continue
		}
		im.line(at, text)
		if err := im.flushFull(ctx); err != nil {
			return err
		}
	}
	if _, err := decoder.ReadToken(); err != nil {
		return fmt.Errorf("read %s: %w", source, syntaxError(err))
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s goes on after the end of its array, which was loaded", source)
	}
	return nil
}

func (im *Importer) flushFull(ctx context.Context) error {
	if im.batch.rows() < batchRows {
		return nil
	}
	return im.Flush(ctx)
}

// rejectLong rejects a line that may be of any length, and reads to its end. It returns the reader's error.
func (im *Importer) rejectLong(at Place, reader *bufio.Reader, start []byte) (err error) {
	im.summary.Lines++
	im.keep(start)
	for {
		more, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			im.keep(more)
		} else {
			im.keep(append(bytes.TrimRight(more, "\r\n"), '\n'))
			im.bad(at, fmt.Errorf("longer than %d bytes", maxLineBytes))
			return err
		}
	}
}

func (im *Importer) reject(at Place, text []byte, reason error) {
	im.keep(text)
	im.keep([]byte("\n"))
	im.bad(at, reason)
}

func (im *Importer) bad(at Place, reason error) {
	im.summary.Bad++
	im.faults.note(at, reason)
	if im.Reject != nil {
		im.Reject(at.String(), reason)
	}
}

// keep writes what is bad. A writer that fails must tell so itself, as a bufio.Writer does.
func (im *Importer) keep(text []byte) {
	if im.Rejects != nil {
		_, _ = im.Rejects.Write(text)
	}
}

func (im *Importer) line(at Place, text []byte) {
	im.summary.Lines++
	r, err := parseLine(text)
	if err != nil {
		im.reject(at, text, err)
		return
	}
	im.take(at, text, r)
}

// take puts a row where it belongs.
func (im *Importer) take(at Place, text []byte, r row) {
	if im.Preview != nil && im.previews < maxPreviews {
		im.previews++
		im.Preview(at, r.preview())
	}
	for _, warning := range r.warnings {
		im.warnings[warning]++
	}
	switch {
	case r.clientEvent != nil:
		im.accounts[r.clientEvent.CustomerID] = true
		im.batch.clientEvents = append(im.batch.clientEvents, *r.clientEvent)
		im.batch.givenIDs = im.batch.givenIDs || r.hasIngestID
		im.summary.ClientEvents++
	case r.conversion != nil:
		im.accounts[r.conversion.CustomerID] = true
		im.batch.conversions = append(im.batch.conversions, *r.conversion)
		im.batch.hasReceivedAt = append(im.batch.hasReceivedAt, r.hasReceivedAt)
		im.summary.Conversions++
	case r.adjustment != nil:
		im.accounts[r.adjustment.CustomerID] = true
		im.batch.adjustments = append(im.batch.adjustments, *r.adjustment)
		im.summary.Adjustments++
	default:
		im.pending = append(im.pending, catalogLine{at, bytes.Clone(text), r})
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
		known, errs := im.apply(e)
		for i, err := range errs {
			if l := im.pending[i]; err != nil {
				im.reject(l.at, l.text, err)
				continue
			}
			im.summary.Catalog++
			if known[i] {
				im.summary.Known++
			}
		}
		im.made = e.Made()
		if im.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return im.summary, err
}

// errDryRun ends a change of the catalog that is tried only.
var errDryRun = errors.New("a dry run changes nothing")

// apply makes the changes of the pending lines and returns which of them change nothing, and
// what is wrong with each.
func (im *Importer) apply(e *catalog.Edit) (known []bool, errs []error) {
	known, errs = make([]bool, len(im.pending)), make([]error, len(im.pending))
	var names []catalog.EventName
	var rules []catalog.EventRule
	var nameLines, ruleLines []int // which of them these are
	for i, l := range im.pending {
		if l.row.eventName != nil {
			known[i] = e.HasName(*l.row.eventName)
			names, nameLines = append(names, *l.row.eventName), append(nameLines, i)
			continue
		}
		if l.row.rule != nil {
			known[i] = e.HasRule(*l.row.rule)
			rules, ruleLines = append(rules, *l.row.rule), append(ruleLines, i)
			continue
		}
		o := l.row.optimization
		before := e.Changes()
		errs[i] = e.ReplaceOptimization(o.head, o.variations, o.goals)
		known[i] = e.Changes() == before
	}
	for k, err := range e.ImportNames(names) {
		errs[nameLines[k]] = err
	}
	for k, err := range e.ImportRules(rules) {
		errs[ruleLines[k]] = err
	}
	return known, errs
}

// Flush inserts what has been read and not been inserted yet.
func (im *Importer) Flush(ctx context.Context) error {
	if err := im.leaveOut(ctx); err != nil {
		return err
	}
	if !im.DryRun {
		if err := im.batch.insert(ctx, im.Into, im.Epoch); err != nil {
			return err
		}
	}
	im.batch.reset()
	if im.Tell != nil {
		im.Tell(im.summary)
	}
	return nil
}
