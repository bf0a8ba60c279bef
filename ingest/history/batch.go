package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/google/uuid"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// batch is what is inserted at once.
type batch struct {
	clientEvents []warehouse.ClientEvent
	conversions  []warehouse.Conversion
	adjustments  []warehouse.Adjustment
}

func (b *batch) rows() int { return len(b.clientEvents) + len(b.conversions) + len(b.adjustments) }

func (b *batch) reset() {
	b.clientEvents, b.conversions, b.adjustments = b.clientEvents[:0], b.conversions[:0], b.adjustments[:0]
}

// insert leaves out what is there already, and returns how many rows that are. It names each
// batch by its rows, so that one that was cut off is not inserted again. A help only: rows with
// one ingest_id count once anyway (R5).
func (b *batch) insert(ctx context.Context, into ingest.Inserter, known Known, epoch string) (left int, err error) {
	if known != nil {
		if left, err = b.leaveOut(ctx, known); err != nil {
			return 0, err
		}
	}
	token := contentToken(epoch, b.clientEvents, func(e *warehouse.ClientEvent) uuid.UUID { return e.IngestID })
	if err := into.InsertClientEvents(ctx, token, b.clientEvents); err != nil {
		return 0, err
	}
	token = contentToken(epoch, b.conversions, func(c *warehouse.Conversion) uuid.UUID { return c.IngestID })
	if err := into.InsertConversions(ctx, token, b.conversions); err != nil {
		return 0, err
	}
	token = contentToken(epoch, b.adjustments, func(a *warehouse.Adjustment) uuid.UUID { return a.IngestID })
	return left, into.InsertAdjustments(ctx, token, b.adjustments)
}

func (b *batch) leaveOut(ctx context.Context, known Known) (left int, err error) {
	all := b.rows()
	events, err := known.KnownClientEvents(ctx, b.clientEvents)
	if err != nil {
		return 0, err
	}
	conversions, err := known.KnownConversions(ctx, b.conversions)
	if err != nil {
		return 0, err
	}
	adjustments, err := known.KnownAdjustments(ctx, b.adjustments)
	if err != nil {
		return 0, err
	}
	b.clientEvents = slices.DeleteFunc(b.clientEvents, func(e warehouse.ClientEvent) bool { return events[e.IngestID] })
	b.conversions = slices.DeleteFunc(b.conversions, func(c warehouse.Conversion) bool { return conversions[c.IngestID] })
	b.adjustments = slices.DeleteFunc(b.adjustments, func(a warehouse.Adjustment) bool { return adjustments[a.IngestID] })
	return all - b.rows(), nil
}

func contentToken[R any](epoch string, rows []R, id func(*R) uuid.UUID) string {
	hash := sha256.New()
	for i := range rows {
		rowID := id(&rows[i])
		hash.Write(rowID[:])
	}
	return "import-" + epoch + "-" + hex.EncodeToString(hash.Sum(nil))
}
