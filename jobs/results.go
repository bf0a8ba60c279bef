package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/reports/experiment"
)

// noteResults notes what is known of the optimizations now (R11). A run that is killed before it ends has noted nothing, and the
// next one makes up for it.
func (r *Runner) noteResults(ctx context.Context, record *Record) error {
	started, begun := r.clock(), time.Now()
	var any uint8
	if err := r.db.Row(ctx, "select exists(select 1 from goals) or exists(select 1 from results_noted)", nil, &any); err != nil || any == 0 {
		return err
	}
	snap, err := catalog.NewStore(r.db, r.now).Load(ctx)
	if err == nil {
		err = experiment.Note(ctx, r.db, snap, record.RunID, record.Cutoff, record.Version, r.log)
	}
	if err != nil {
		return fmt.Errorf("note the results: %w", err)
	}
	record.note("note the results", started, time.Since(begun), 0)
	return nil
}
