package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/google/uuid"

	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/warehouse"
)

// batch is what is inserted at once.
type batch struct {
	clientEvents []warehouse.ClientEvent
	conversions  []warehouse.Conversion
	adjustments  []warehouse.Adjustment

	hasReceivedAt []bool // of the conversions: it was given
	givenIDs      bool   // some client events carry ids
}

func (b *batch) rows() int { return len(b.clientEvents) + len(b.conversions) + len(b.adjustments) }

func (b *batch) reset() {
	*b = batch{
		clientEvents: b.clientEvents[:0], conversions: b.conversions[:0], adjustments: b.adjustments[:0], hasReceivedAt: b.hasReceivedAt[:0],
	}
}

// insert names each batch by its rows, so that one that was cut off is not inserted again. A help only:
// rows with one ingest_id count once anyway (R5).
func (b *batch) insert(ctx context.Context, into ingest.Inserter, epoch string) error {
	token := contentToken(epoch, b.clientEvents, func(e *warehouse.ClientEvent) uuid.UUID { return e.IngestID })
	if err := into.InsertClientEvents(ctx, token, b.clientEvents); err != nil {
		return err
	}
	token = contentToken(epoch, b.conversions, func(c *warehouse.Conversion) uuid.UUID { return c.IngestID })
	if err := into.InsertConversions(ctx, token, b.conversions); err != nil {
		return err
	}
	token = contentToken(epoch, b.adjustments, func(a *warehouse.Adjustment) uuid.UUID { return a.IngestID })
	return into.InsertAdjustments(ctx, token, b.adjustments)
}

func contentToken[R any](epoch string, rows []R, id func(*R) uuid.UUID) string {
	hash := sha256.New()
	for i := range rows {
		rowID := id(&rows[i])
		hash.Write(rowID[:])
	}
	return "import-" + epoch + "-" + hex.EncodeToString(hash.Sum(nil))
}
