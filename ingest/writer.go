package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// Inserter is what the Writer asks of ClickHouse. Rows are durable when a call
// returns without an error.
type Inserter interface {
	InsertClientEvents(ctx context.Context, token string, rows []warehouse.ClientEvent) error
	InsertConversions(ctx context.Context, token string, rows []warehouse.Conversion) error
}

const (
	// maxBatchRows keeps an insert one atomic block.
	maxBatchRows = 50_000

	// gatherFor lets a batch grow while little arrives; a ClickHouse insert costs
	// milliseconds whatever its size.
	gatherFor = 200 * time.Millisecond

	insertTimeout = 2 * time.Minute
	maxRetryWait  = 30 * time.Second
)

// Writer drains the spool into ClickHouse, for as long as it takes.
type Writer struct {
	spool   *spool.Spool
	into    Inserter
	log     *slog.Logger
	metrics *metrics
	failing atomic.Pointer[error]
}

// NewWriter returns the writer whose figures show on the server's /metrics.
func NewWriter(from *spool.Spool, into Inserter, server *Server) *Writer {
	return &Writer{spool: from, into: into, log: server.cfg.Log, metrics: server.metrics}
}

// Failing returns why the last insert failed, nil while all is well.
func (w *Writer) Failing() error {
	if err := w.failing.Load(); err != nil {
		return fmt.Errorf("events wait in the spool, ClickHouse does not take them: %w", *err)
	}
	return nil
}

// Run drains until ctx ends. What is not in ClickHouse by then stays in the spool.
func (w *Writer) Run(ctx context.Context) error {
	reader := w.spool.NewReader()
	defer reader.Close()
	for {
		batch, err := reader.Next(ctx, maxBatchRows)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("drain the spool: %w", err)
		}
		if err := w.insertAll(ctx, batch); err != nil {
			return nil // only the end of ctx stops it
		}
		if err := reader.Commit(batch.End); err != nil {
			return fmt.Errorf("drain the spool: %w", err)
		}
		if len(batch.Records) < maxBatchRows {
			wait(ctx, gatherFor)
		}
	}
}

// insertAll inserts a batch, again and again with the same token until it is in.
func (w *Writer) insertAll(ctx context.Context, batch spool.Batch) error {
	var conversions []warehouse.Conversion
	var clientEvents []warehouse.ClientEvent
	for _, record := range batch.Records {
		conversion, clientEvent, err := decodeRecord(record)
		switch {
		case err != nil:
			w.log.Error("a record of the spool cannot be read and is left out", "segment", batch.Start.Segment, "err", err)
		case conversion != nil:
			conversions = append(conversions, *conversion)
		default:
			clientEvents = append(clientEvents, *clientEvent)
		}
	}
	token := fmt.Sprintf("%s-%d-%d-%d-%d", w.spool.ID(), batch.Start.Segment, batch.Start.Offset, batch.End.Segment, batch.End.Offset)
	if err := w.retry(ctx, func(ctx context.Context) error { return w.into.InsertClientEvents(ctx, token, clientEvents) }); err != nil {
		return err
	}
	w.metrics.insertedRows.WithLabelValues("client_events").Add(float64(len(clientEvents)))
	if err := w.retry(ctx, func(ctx context.Context) error { return w.into.InsertConversions(ctx, token, conversions) }); err != nil {
		return err
	}
	w.metrics.insertedRows.WithLabelValues("conversions").Add(float64(len(conversions)))
	return nil
}

// retry tries until it works or ctx ends, with full jitter in between.
func (w *Writer) retry(ctx context.Context, insert func(context.Context) error) error {
	for limit := 100 * time.Millisecond; ; limit = min(2*limit, maxRetryWait) {
		bounded, cancel := context.WithTimeout(ctx, insertTimeout)
		err := insert(bounded)
		cancel()
		if err == nil {
			if w.failing.Swap(nil) != nil {
				w.log.Info("ClickHouse takes events again")
			}
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if w.failing.Swap(&err) == nil {
			w.log.Error("ClickHouse does not take events, they wait in the spool", "err", err)
		}
		w.metrics.retries.Inc()
		wait(ctx, rand.N(limit))
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
