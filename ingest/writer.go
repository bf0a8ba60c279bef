package ingest

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// Inserter is what the Writer asks of ClickHouse. Rows are durable when a call
// returns without an error.
type Inserter interface {
	InsertClientEvents(ctx context.Context, token string, rows []warehouse.ClientEvent) error
	InsertConversions(ctx context.Context, token string, rows []warehouse.Conversion) error
	InsertAdjustments(ctx context.Context, token string, rows []warehouse.Adjustment) error
}

const (
	// maxBatchRows keeps an insert one atomic block.
	maxBatchRows = 50_000

	// How long a batch may gather: shortly while so little arrives that an insert does
	// not matter, longer once a batch has busyRows.
	gatherCalm = 200 * time.Millisecond
	gatherBusy = 2 * time.Second
	busyRows   = 500

	insertTimeout = 2 * time.Minute
	maxRetryWait  = 30 * time.Second
)

// Writer drains the spool into ClickHouse, for as long as it takes.
type Writer struct {
	spool       *spool.Spool
	into        Inserter
	deadLetters *DeadLetters
	log         *slog.Logger
	metrics     *Metrics
	spare       chan rows // memory of batches that are in
	failing     atomic.Pointer[error]
}

// NewWriter returns a writer that counts what it does in metrics.
func NewWriter(from *spool.Spool, into Inserter, deadLetters *DeadLetters, metrics *Metrics, log *slog.Logger) *Writer {
	metrics.backlog = from.Backlog
	return &Writer{spare: make(chan rows, 1), spool: from, into: into, deadLetters: deadLetters, log: log, metrics: metrics}
}

// stalledAfter is how long an event may wait while no insert fails, before that is
// called a problem.
const stalledAfter = 30 * time.Second

// Failing returns why events wait in the spool, nil while all is well.
func (w *Writer) Failing() error {
	if err := w.failing.Load(); err != nil {
		return *err
	}
	if _, oldest := w.spool.Backlog(); oldest > stalledAfter {
		return fmt.Errorf("%w, the oldest for %s", ErrStalled, human.Duration(oldest.Round(time.Second)))
	}
	return nil
}

// ErrStalled says that events wait though no insert has failed.
var ErrStalled = errors.New("ClickHouse does not answer, or is slower than they arrive")

// Run drains until ctx ends. What is not in ClickHouse by then stays in the spool.
// A spool that cannot be read or written now is tried again, from the cursor on.
func (w *Writer) Run(ctx context.Context) {
	for limit := 100 * time.Millisecond; ctx.Err() == nil; limit = min(2*limit, maxRetryWait) {
		err := w.drain(ctx)
		if ctx.Err() == nil {
			w.fails(fmt.Errorf("drain the spool: %w", err))
			wait(ctx, rand.N(limit))
		}
	}
}

// decoded is a batch of the spool as rows.
type decoded struct {
	spool.Batch
	rows
}

// drain returns at the first error of the spool, or when ctx ends. While one batch
// is inserted the next is read.
func (w *Writer) drain(ctx context.Context) error {
	reader := w.spool.NewReader()
	defer reader.Close()
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan decoded)
	failed := make(chan error, 1)
	go func() { failed <- w.read(ctx, reader, batches) }()
	defer func() {
		cancel()
		<-failed // the reader is in use until then
	}()
	for {
		select {
		case err := <-failed:
			failed <- err
			return err
		case batch := <-batches:
			if err := w.insertBatch(ctx, reader, batch); err != nil {
				return err
			}
			batch.rows.empty()
			select {
			case w.spare <- batch.rows:
			default: // there is enough of it
			}
			w.works()
		}
	}
}

// read hands on batch after batch. While little arrives it lets some gather: an
// insert costs ClickHouse a few fsyncs whatever its size, and these hold up ours.
func (w *Writer) read(ctx context.Context, reader *spool.Reader, batches chan<- decoded) error {
	for {
		batch, err := reader.Next(ctx, maxBatchRows)
		if err != nil {
			return err
		}
		d := decoded{Batch: batch}
		if d.rows, err = w.decode(batch); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batches <- d:
		}
		switch n := len(batch.Records); {
		case n >= maxBatchRows/2: // a backlog
		case n >= busyRows:
			w.gather(ctx, gatherBusy)
		default:
			w.gather(ctx, gatherCalm)
		}
	}
}

// gather waits, but not when somebody waits for the spool to be drained.
func (w *Writer) gather(ctx context.Context, atMost time.Duration) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.spool.Hurry():
	}
}

// insertBatch inserts a batch, again and again with the same token until it is in.
func (w *Writer) insertBatch(ctx context.Context, reader *spool.Reader, batch decoded) error {
	if err := reader.Begin(batch.Batch); err != nil {
		return err
	}
	token := w.token(batch.Batch)
	if err := insertRows(ctx, w, "client_events", token, batch.clientEvents, w.into.InsertClientEvents); err != nil {
		return err
	}
	if err := insertRows(ctx, w, "conversions", token, batch.conversions, w.into.InsertConversions); err != nil {
		return err
	}
	if err := insertRows(ctx, w, "adjustments", token, batch.adjustments, w.into.InsertAdjustments); err != nil {
		return err
	}
	return reader.Commit(batch.End)
}

// token names a batch for ClickHouse, which drops a second one of the same name silently:
// so it says what is in it, and where. Positions come again where a spool's cursor was
// lost, or an old copy of its folder put back; from where that differs on, the records do,
// each with an id of its own, so that the first and the last tell.
func (w *Writer) token(batch spool.Batch) string {
	var sum uint32
	if n := len(batch.Records); n > 0 {
		sum = crc32.Update(crc32.Checksum(batch.Records[0], castagnoli), castagnoli, batch.Records[n-1])
	}
	return fmt.Sprintf("%s-%d-%d-%d-%d-%08x", w.spool.ID(), batch.Start.Segment, batch.Start.Offset, batch.End.Segment, batch.End.Offset, sum)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decode reads the records of a batch. One that cannot be read is a dead letter.
func (w *Writer) decode(batch spool.Batch) (found rows, err error) {
	select {
	case found = <-w.spare:
	default:
	}
	found.expected = len(batch.Records)
	for _, record := range batch.Records {
		// Nobody writes to a record, so its fields can be views into it without a copy.
		if reason := found.add(view(record)); reason != nil {
			if err := w.bury("record", record, reason); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// insertRows inserts rows until they are in. Rows that ClickHouse refuses for what
// they hold are found by halving; the rest goes in.
func insertRows[R any](ctx context.Context, w *Writer, table, token string, rows []R, insert func(context.Context, string, []R) error) error {
	if len(rows) == 0 {
		return nil
	}
	err := w.retry(ctx, func(ctx context.Context) error { return insert(ctx, token, rows) })
	switch {
	case err == nil:
		w.metrics.insertedRows.add(table, len(rows))
		w.metrics.insertBatches.add(table, 1)
		return nil
	case !errors.Is(err, warehouse.ErrBadRow):
		return err
	case len(rows) == 1:
		return w.bury(table, rows[0], err)
	}
	half := len(rows) / 2
	if err := insertRows(ctx, w, table, token+"a", rows[:half], insert); err != nil {
		return err
	}
	return insertRows(ctx, w, table, token+"b", rows[half:], insert)
}

// bury puts what can't be inserted in the dead letters.
func (w *Writer) bury(table string, row any, reason error) error {
	w.metrics.deadLetters.Add(1)
	w.log.Error("a row can't be inserted and is put aside; `tieback deadletter list` shows it", "table", table, "err", reason)
	if err := w.deadLetters.Add(table, row, reason); err != nil {
		return fmt.Errorf("put a row aside: %w", err)
	}
	return nil
}

// retry tries until it works, ctx ends or a row is to blame, with full jitter in
// between.
func (w *Writer) retry(ctx context.Context, insert func(context.Context) error) error {
	for limit := 100 * time.Millisecond; ; limit = min(2*limit, maxRetryWait) {
		bounded, cancel := context.WithTimeout(ctx, insertTimeout)
		err := insert(bounded)
		cancel()
		if err == nil || errors.Is(err, warehouse.ErrBadRow) {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		w.fails(err)
		w.metrics.insertRetries.Add(1)
		wait(ctx, rand.N(limit))
	}
}

// fails notes that events wait, and says so once.
func (w *Writer) fails(err error) {
	if w.failing.Swap(&err) == nil {
		w.log.Error("events wait in the spool", "err", err)
	}
}

func (w *Writer) works() {
	if w.failing.Swap(nil) != nil {
		w.log.Info("events leave the spool again")
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
