// Package quiet lets a bench begin when the engine has nothing left to do.
package quiet

import (
	"context"
	"time"

	"github.com/tieback/tieback/warehouse"
)

// Merged waits until ClickHouse merges nothing: what was inserted before is not at the
// cost of what is measured next.
func Merged(ctx context.Context, db *warehouse.DB) error {
	for {
		var merges uint64
		if err := db.Row(ctx, "select count() from system.merges", nil, &merges); err != nil || merges == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
