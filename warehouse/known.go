package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

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

// KnownClientEvents returns the places of those rows that are there: by their ingest_ids, or where some were given
// to them, by all that they hold.
func (h *History) KnownClientEvents(ctx context.Context, rows []ClientEvent, givenIDs bool) (map[int]bool, error) {
	moment := func(e *ClientEvent) (uuid.UUID, int64) { return e.IngestID, e.OccurredAtMS }
	before := sql.Report("rows_before_client_events").SQL
	places := map[int]bool{}
	if givenIDs {
		var found []struct {
			CustomerID     string            `ch:"customer_id"`
			VisitorID      string            `ch:"visitor_id"`
			Type           string            `ch:"type"`
			OptimizationID string            `ch:"optimization_id"`
			VariationID    string            `ch:"variation_id"`
			Attributes     map[string]string `ch:"attributes"`
			UserDomain     string            `ch:"user_domain"`
			UserID         string            `ch:"user_id"`
			OccurredAt     time.Time         `ch:"occurred_at"`
			ReceivedAt     time.Time         `ch:"received_at"`
			IngestID       uuid.UUID         `ch:"ingest_id"`
		}
		if err := known(ctx, h, before, sql.Report("known_client_events_whole").SQL, rows, moment, &found); err != nil {
			return nil, err
		}
		there := map[ClientEvent]bool{}
		for _, f := range found {
			there[ClientEvent{f.CustomerID, f.VisitorID, f.Type, f.OptimizationID, f.VariationID, AttributesOf(f.Attributes), f.UserDomain, f.UserID, f.OccurredAt.UnixMilli(), f.ReceivedAt.UnixMilli(), f.IngestID}] = true
		}
		for i := range rows {
			places[i] = there[rows[i]]
		}
		return places, nil
	}
	there, err := knownIDs(ctx, h, before, sql.Report("known_client_events").SQL, rows, moment)
	for i := range rows {
		places[i] = there[rows[i].IngestID]
	}
	return places, err
}

// KnownConversions returns the ingest_ids of those rows that are there.
func (h *History) KnownConversions(ctx context.Context, rows []Conversion) (map[uuid.UUID]bool, error) {
	return knownIDs(ctx, h, sql.Report("rows_before_conversions").SQL, sql.Report("known_conversions").SQL, rows,
		func(c *Conversion) (uuid.UUID, int64) { return c.IngestID, c.ActionAtMS })
}

// KnownAdjustments is KnownConversions for adjustments.
func (h *History) KnownAdjustments(ctx context.Context, rows []Adjustment) (map[uuid.UUID]bool, error) {
	return knownIDs(ctx, h, sql.Report("rows_before_adjustments").SQL, sql.Report("known_adjustments").SQL, rows,
		func(a *Adjustment) (uuid.UUID, int64) { return a.IngestID, a.AdjustedAtMS })
}

func knownIDs[R any](ctx context.Context, h *History, before, query string, rows []R, of func(*R) (uuid.UUID, int64)) (map[uuid.UUID]bool, error) {
	var found []struct {
		ID uuid.UUID `ch:"ingest_id"`
	}
	if err := known(ctx, h, before, query, rows, of, &found); err != nil {
		return nil, err
	}
	ours := make(map[uuid.UUID]bool, len(found))
	for _, row := range found {
		ours[row.ID] = true
	}
	return ours, nil
}

// known runs a query over the ids of rows; before says whether there can be any.
func known[R any](ctx context.Context, h *History, before, query string, rows []R, of func(*R) (uuid.UUID, int64), found any) error {
	if len(rows) == 0 {
		return nil
	}
	_, first := of(&rows[0])
	last := first
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		id, at := of(&rows[i])
		ids[i] = id
		first, last = min(first, at), max(last, at)
	}
	params := Params{"from_day": Day(time.UnixMilli(first)), "to_day": Day(time.UnixMilli(last)), "since": Time(h.since)}
	// A first import finds nothing, and need not ask for each row.
	var there uint8
	if err := h.db.Row(ctx, before, params, &there); err != nil || there == 0 {
		return err
	}
	return h.ask(ctx, "import_ids", []column{{"ingest_id", "UUID", ids}}, len(rows), query, params, found)
}

// ask runs a query that reads a batch of a working table.
func (h *History) ask(ctx context.Context, table string, columns []column, rows int, query string, params Params, found any) error {
	batch := uuid.Must(uuid.NewV7())
	batches := make([]uuid.UUID, rows)
	for i := range batches {
		batches[i] = batch
	}
	if err := h.db.insert(ctx, table, "", rows, append(columns, column{"batch_id", "UUID", batches})); err != nil {
		return err
	}
	err := h.db.Select(ctx, found, query, params.With("batch_id", batch.String()).For(query))
	err = errors.Join(err, h.db.Exec(ctx, "alter table "+table+" drop partition '"+batch.String()+"'", nil))
	if err != nil {
		return fmt.Errorf("look for rows that are there already: %w", err)
	}
	return nil
}

// KnownConversion is what is there of a conversion: the copy that counts (R5), and its value now (R10); of one that was
// retracted that before.
type KnownConversion struct {
	UserDomain, UserID string
	ActionAtMS         int64
	Value, Current     decimal.NullDecimal
}

// ConversionsByKey returns what is known of the conversions with the keys of the rows, by the rows' places.
func (h *History) ConversionsByKey(ctx context.Context, rows []Conversion) (map[int]KnownConversion, error) {
	var there uint8
	if len(rows) == 0 {
		return nil, nil
	}
	err := h.db.Row(ctx, "select exists(select 1 from conversions where inserted_at < {since:DateTime64(3, 'UTC')})", Params{"since": Time(h.since)}, &there)
	if err != nil || there == 0 {
		return nil, err
	}
	places := make([]uint32, len(rows))
	for i := range places {
		places[i] = uint32(i)
	}
	var found []struct {
		Place      uint32           `ch:"place"`
		UserDomain string           `ch:"user_domain"`
		UserID     string           `ch:"user_id"`
		ActionAt   time.Time        `ch:"action_at"`
		Value      *decimal.Decimal `ch:"value"`
		Current    *decimal.Decimal `ch:"current_value"`
	}
	err = h.ask(ctx, "import_keys", []column{
		{"place", "UInt32", places},
		{"customer_id", "String", gather(rows, func(c *Conversion) string { return c.CustomerID })},
		{"api_name", "String", gather(rows, func(c *Conversion) string { return c.APIName })},
		{"action_id", "String", gather(rows, func(c *Conversion) string { return c.ActionID })},
	}, len(rows), sql.Report("known_keys").SQL, Params{"since": Time(h.since)}, &found)
	if err != nil {
		return nil, err
	}
	known := make(map[int]KnownConversion, len(found))
	for _, f := range found {
		known[int(f.Place)] = KnownConversion{f.UserDomain, f.UserID, f.ActionAt.UnixMilli(), optional(f.Value), optional(f.Current)}
	}
	return known, nil
}

func optional(value *decimal.Decimal) decimal.NullDecimal {
	if value == nil {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(*value)
}
