package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/sql"
)

// History looks up which rows of an import were there before it began.
type History struct {
	db    *DB
	since time.Time // by ClickHouse's clock: what became visible later is the import's own
}

// NewHistory returns what is there now.
func (db *DB) NewHistory(ctx context.Context) (*History, error) {
	h := &History{db: db}
	if err := db.Row(ctx, "select now64(3, 'UTC')", nil, &h.since); err != nil {
		return nil, fmt.Errorf("ask ClickHouse for the time: %w", err)
	}
	return h, nil
}

// KnownClientEvents returns the ingest_ids of those rows that are there.
func (h *History) KnownClientEvents(ctx context.Context, rows []ClientEvent) (map[uuid.UUID]bool, error) {
	return known(ctx, h, sql.Report("rows_before_client_events").SQL, sql.Report("known_client_events").SQL, rows,
		func(e *ClientEvent) (uuid.UUID, int64) { return e.IngestID, e.OccurredAtMS })
}

// KnownConversions is KnownClientEvents for conversions.
func (h *History) KnownConversions(ctx context.Context, rows []Conversion) (map[uuid.UUID]bool, error) {
	return known(ctx, h, sql.Report("rows_before_conversions").SQL, sql.Report("known_conversions").SQL, rows,
		func(c *Conversion) (uuid.UUID, int64) { return c.IngestID, c.ActionAtMS })
}

// KnownAdjustments is KnownClientEvents for adjustments.
func (h *History) KnownAdjustments(ctx context.Context, rows []Adjustment) (map[uuid.UUID]bool, error) {
	return known(ctx, h, sql.Report("rows_before_adjustments").SQL, sql.Report("known_adjustments").SQL, rows,
		func(a *Adjustment) (uuid.UUID, int64) { return a.IngestID, a.AdjustedAtMS })
}

func known[R any](ctx context.Context, h *History, before, query string, rows []R, of func(*R) (uuid.UUID, int64)) (map[uuid.UUID]bool, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	_, first := of(&rows[0])
	last := first
	ids := make([]uuid.UUID, len(rows))
	batches := make([]uuid.UUID, len(rows))
	batch := uuid.Must(uuid.NewV7())
	for i := range rows {
		id, at := of(&rows[i])
		ids[i], batches[i] = id, batch
		first, last = min(first, at), max(last, at)
	}
	days := Params{"from_day": Day(time.UnixMilli(first)), "to_day": Day(time.UnixMilli(last)), "since": Time(h.since)}
	// A first import finds nothing, and need not ask for each row.
	var there uint8
	if err := h.db.Row(ctx, before, days, &there); err != nil || there == 0 {
		return nil, err
	}
	err := h.db.insert(ctx, "import_ids", "", len(ids), []column{{"batch_id", "UUID", batches}, {"ingest_id", "UUID", ids}})
	if err != nil {
		return nil, err
	}
	var found []struct {
		ID uuid.UUID `ch:"ingest_id"`
	}
	err = h.db.Select(ctx, &found, query, days.With("batch_id", batch.String()))
	err = errors.Join(err, h.db.Exec(ctx, "alter table import_ids drop partition '"+batch.String()+"'", nil))
	if err != nil {
		return nil, fmt.Errorf("look for rows that are there already: %w", err)
	}
	ours := make(map[uuid.UUID]bool, len(found))
	for _, row := range found {
		ours[row.ID] = true
	}
	return ours, nil
}
