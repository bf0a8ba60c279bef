package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/bench/quiet"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

const (
	drainRows  = 1_000_000
	drainBatch = 50_000 // as the writer's
)

// drain measures the way from the spool into the table beside an insert of the same
// rows, in batches of the same size, that are in memory already.
func drain(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "tieback-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	log := slog.New(slog.DiscardHandler)
	db, err := warehouse.Open(ctx, warehouse.Config{DataDir: folder, EngineCommand: []string{os.Args[0], "engine"}, Log: log})
	if err != nil {
		return err
	}
	defer db.Close()
	if _, _, err := db.Migrate(ctx); err != nil {
		return err
	}
	var raw, spooled []float64
	for round := range rounds {
		rows := conversions(drainRows)
		if err := quiet.Merged(ctx, db); err != nil {
			return err
		}
		started := time.Now()
		for i := 0; i < len(rows); i += drainBatch {
			if err := db.InsertConversions(ctx, "", rows[i:i+drainBatch]); err != nil {
				return err
			}
		}
		raw = append(raw, drainRows/time.Since(started).Seconds())
		if err := quiet.Merged(ctx, db); err != nil {
			return err
		}
		rate, err := drainSpool(ctx, filepath.Join(folder, fmt.Sprint(round)), db, rows, log)
		if err != nil {
			return err
		}
		spooled = append(spooled, rate)
	}
	fmt.Printf("raw insert of %d rows in batches of %d: %.0f rows/s; spool to table: %.0f rows/s, %.2f of it\n",
		drainRows, drainBatch, median(raw), median(spooled), median(spooled)/median(raw))
	return nil
}

func conversions(n int) []warehouse.Conversion {
	rows := make([]warehouse.Conversion, n)
	now := time.Now().UnixMilli()
	for i := range rows {
		rows[i] = warehouse.Conversion{
			CustomerID: "123456789", APIName: "application-accepted", UserDomain: "salesforce", UserID: fmt.Sprint(i % 70_000),
			ActionID: fmt.Sprint(i), ActionAtMS: now, ReceivedAtMS: now, IngestID: uuid.Must(uuid.NewV7()),
			Value: decimal.NewNullDecimal(decimal.New(14999, -2)),
		}
	}
	return rows
}

func drainSpool(ctx context.Context, dir string, db *warehouse.DB, rows []warehouse.Conversion, log *slog.Logger) (float64, error) {
	s, err := spool.Open(dir, spool.Options{Log: log})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for i := 0; i < len(rows); i += batchSize {
		records := make([][]byte, 0, batchSize)
		for j := range rows[i : i+batchSize] {
			records = append(records, ingest.EncodeConversion(nil, &rows[i+j]))
		}
		if err := s.Append(ctx, records...); err != nil {
			return 0, err
		}
	}
	writer := ingest.NewWriter(s, db, ingest.NewDeadLetters(dir), ingest.NewMetrics(), log)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	started := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		writer.Run(ctx)
	}()
	err = s.WaitDrained(ctx)
	took := time.Since(started)
	cancel()
	<-done
	return float64(len(rows)) / took.Seconds(), err
}
