package main

import (
	"context"
	"os"
	"time"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// serviceMinute is a row of service_minutes.
type serviceMinute struct {
	At                 time.Time `ch:"at"`
	Host               string    `ch:"host"`
	Conversions        uint64    `ch:"conversions"`
	ClientEvents       uint64    `ch:"client_events"`
	Rejected           uint64    `ch:"rejected"`
	Dropped            uint64    `ch:"dropped"`
	InsertedRows       uint64    `ch:"inserted_rows"`
	InsertBatches      uint64    `ch:"insert_batches"`
	InsertRetries      uint64    `ch:"insert_retries"`
	DeadLetters        uint64    `ch:"dead_letters"`
	SpoolBytes         uint64    `ch:"spool_bytes"`
	SpoolOldestSeconds float64   `ch:"spool_oldest_seconds"`
	DurableSeconds     float64   `ch:"durable_seconds"`
	ActiveParts        uint64    `ch:"active_parts"`
	BytesOnDisk        uint64    `ch:"bytes_on_disk"`
}

// noteTimeout bounds the note of a minute: one that ClickHouse does not take in time is
// left out, and its figures are part of the next.
const noteTimeout = 20 * time.Second

// noteMinutes writes a row of service_minutes at each interval until ctx ends.
func (s *service) noteMinutes(ctx context.Context, interval time.Duration) {
	host, _ := os.Hostname()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var noted ingest.Figures
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := s.noteMinute(ctx, host, noted)
		switch {
		case err == nil:
			noted = now
			failing = false
		case ctx.Err() == nil && !failing:
			s.log.Warn("what the service did cannot be noted in service_minutes; it is added to the next note", "err", err)
			failing = true
		}
	}
}

// noteMinute writes what has happened since the last note, and returns what is noted.
func (s *service) noteMinute(ctx context.Context, host string, noted ingest.Figures) (ingest.Figures, error) {
	now, err := s.server.Figures()
	if err != nil {
		return noted, err
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	row := serviceMinute{
		At: s.now().UTC(), Host: host,
		Conversions: uint64(now.Conversions - noted.Conversions), ClientEvents: uint64(now.ClientEvents - noted.ClientEvents),
		Rejected: uint64(now.Rejected - noted.Rejected), Dropped: uint64(now.Dropped - noted.Dropped),
		InsertedRows: uint64(now.InsertedRows - noted.InsertedRows), InsertBatches: uint64(now.InsertBatches - noted.InsertBatches),
		InsertRetries: uint64(now.InsertRetries - noted.InsertRetries), DeadLetters: uint64(now.DeadLetters - noted.DeadLetters),
		SpoolBytes: uint64(now.SpoolBytes), SpoolOldestSeconds: now.SpoolOldestSeconds,
	}
	if calls := now.DurableCalls - noted.DurableCalls; calls > 0 {
		row.DurableSeconds = (now.DurableSeconds - noted.DurableSeconds) / calls
	}
	err = s.db.Row(ctx, "select count(), sum(bytes_on_disk) from system.parts where database = currentDatabase() and active",
		nil, &row.ActiveParts, &row.BytesOnDisk)
	if err != nil {
		return noted, err
	}
	return now, warehouse.InsertStructs(ctx, s.db, "service_minutes", []serviceMinute{row})
}
