package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// serviceMinute is a row of service_minutes.
type serviceMinute struct {
	At                 time.Time `ch:"at"`
	Host               string    `ch:"host"`
	Service            string    `ch:"service"`
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

// droppedEvents is a row of dropped_events.
type droppedEvents struct {
	At         time.Time `ch:"at"`
	Host       string    `ch:"host"`
	CustomerID string    `ch:"customer_id"`
	Reason     string    `ch:"reason"`
	Events     uint64    `ch:"events"`
}

// noteTimeout bounds the note of a minute: one that ClickHouse does not take in time is
// left out, and its figures are part of the next.
const noteTimeout = 20 * time.Second

// noteMinutes writes what the service does at each interval, and when s.noteNow wants it, until ctx ends.
func (s *service) noteMinutes(ctx context.Context, interval time.Duration) {
	host, _ := os.Hostname()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var noted ingest.Figures
	for failing := false; ; {
		s.readNight(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.noteNow:
		}
		now := s.metrics.Figures()
		err := s.noteMinute(ctx, host, now, noted)
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

// readNight reads what /metrics says of the night. What is not learned now is in a minute; /metrics says how old it is.
func (s *service) readNight(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := s.night.read(ctx, s.db); err != nil {
		s.log.Debug("the figures of the night cannot be read", "err", err)
	}
}

// drained waits for what was accepted before midnight to become visible: by this service, and by others that share ClickHouse.
func (s *service) drained(ctx context.Context, midnight time.Time) error {
	if err := s.spool.WaitDrained(ctx); err != nil {
		return err
	}
	select {
	case s.noteNow <- struct{}{}: // others wait for it
	default: // one is wanted already
	}
	for {
		var services uint64
		params := warehouse.Params{"service": s.spool.ID(), "moment": warehouse.Time(midnight)}
		if err := s.db.Row(ctx, sql.Report("undrained_services").SQL, params, &services); err != nil || services == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to report that its events are in ClickHouse: %w", human.Count(int64(services), "other service"), ctx.Err())
		case <-time.After(othersPoll):
		}
	}
}

// othersPoll is how often it is looked for.
const othersPoll = 500 * time.Millisecond

// noteMinute writes what has happened since the last note.
func (s *service) noteMinute(ctx context.Context, host string, now, noted ingest.Figures) error {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	row := serviceMinute{
		At: s.now().UTC(), Host: host, Service: s.spool.ID(),
		Conversions: now.Conversions - noted.Conversions, ClientEvents: now.ClientEvents - noted.ClientEvents,
		Rejected: now.Rejected - noted.Rejected, Dropped: now.Dropped - noted.Dropped,
		InsertedRows: now.InsertedRows - noted.InsertedRows, InsertBatches: now.InsertBatches - noted.InsertBatches,
		InsertRetries: now.InsertRetries - noted.InsertRetries, DeadLetters: now.DeadLetters - noted.DeadLetters,
		SpoolBytes: now.SpoolBytes, SpoolOldestSeconds: now.SpoolOldest.Seconds(),
	}
	if calls := now.DurableCalls - noted.DurableCalls; calls > 0 {
		row.DurableSeconds = (now.Durable - noted.Durable).Seconds() / float64(calls)
	}
	if err := s.sizes(ctx, &row); err != nil {
		return err
	}
	var dropped []droppedEvents
	for key, n := range now.DroppedBy {
		if more := n - noted.DroppedBy[key]; more > 0 {
			dropped = append(dropped, droppedEvents{row.At, host, key.Account, key.Reason, more})
		}
	}
	if err := warehouse.InsertStructs(ctx, s.db, "dropped_events", dropped); err != nil {
		return err
	}
	return warehouse.InsertStructs(ctx, s.db, "service_minutes", []serviceMinute{row})
}

// sizes counts the parts of the tables, on a cluster also those of the shards that answer.
func (s *service) sizes(ctx context.Context, row *serviceMinute) error {
	const query = "select count(), sum(bytes_on_disk) from system.parts where database = currentDatabase() and active"
	if err := s.db.Row(ctx, query, nil, &row.ActiveParts, &row.BytesOnDisk); err != nil || s.cluster == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout/2)
	defer cancel()
	var adding sync.Mutex
	_ = s.db.OnShards(ctx, func(ctx context.Context, shard *warehouse.DB) error {
		var parts, bytes uint64
		err := shard.Row(ctx, query, nil, &parts, &bytes)
		adding.Lock()
		defer adding.Unlock()
		row.ActiveParts, row.BytesOnDisk = row.ActiveParts+parts, row.BytesOnDisk+bytes
		return err
	})
	return nil
}
