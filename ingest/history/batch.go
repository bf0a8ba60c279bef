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
}

func (b *batch) reset() {
	b.clientEvents, b.conversions = b.clientEvents[:0], b.conversions[:0]
}

// insert names each batch by its rows, so that the same file imported again is not
// inserted again. A help only: rows with one ingest_id count once anyway (R5).
func (b *batch) insert(ctx context.Context, into ingest.Inserter, epoch string) error {
	token := contentToken(epoch, b.clientEvents, func(e *warehouse.ClientEvent) uuid.UUID { return e.IngestID })
	if err := into.InsertClientEvents(ctx, token, b.clientEvents); err != nil {
		return err
	}
	token = contentToken(epoch, b.conversions, func(c *warehouse.Conversion) uuid.UUID { return c.IngestID })
	return into.InsertConversions(ctx, token, b.conversions)
}

func contentToken[R any](epoch string, rows []R, id func(*R) uuid.UUID) string {
	hash := sha256.New()
	for i := range rows {
		rowID := id(&rows[i])
		hash.Write(rowID[:])
	}
	return "import-" + epoch + "-" + hex.EncodeToString(hash.Sum(nil))
}
