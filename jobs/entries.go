package jobs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// entries stages when visitors first saw each variation (R11): of the days computed, and of those from which a
// first view has moved elsewhere.
func (n *night) entries(ctx context.Context) error {
	staged := n.allDays()
	if len(staged) == 0 {
		return nil // conversions don't move entries
	}
	params := n.params.With("staged_days", dayList(staged)).With("displaced", flag(n.takesEntriesBack(staged)))
	rows, err := n.count(ctx, "exposures_versions")
	if err != nil {
		return err
	}
	parts := make([]warehouse.Params, 1+rows/n.shards/n.sliceRows)
	for i := range parts {
		parts[i] = params.With("slices", len(parts)).With("slice", i)
	}
	steps := []string{"24_night_concerned", "25_night_first_views", "26_night_entries"}
	if n.full {
		steps = steps[1:] // everybody is
	}
	for _, name := range steps {
		if _, err := n.step(ctx, name, parts...); err != nil {
			return err
		}
	}
	if n.entered, err = n.entryDays(ctx, params, staged); err != nil {
		return err
	}
	var chunks []warehouse.Params
	for days := range slices.Chunk(n.entered, daysPerStatement) {
		chunk := params.With("entry_days", dayList(days))
		query := "select exists(select 1 from client_events where toDate(occurred_at) in {entry_days:Array(Date)} and notEmpty(attributes))"
		var described uint8
		if err := n.db.Row(ctx, query, chunk.For(query), &described); err != nil {
			return fmt.Errorf("look for attributes: %w", err)
		}
		chunks = append(chunks, chunk.With("has_attributes", described))
	}
	if len(chunks) == 0 {
		return nil
	}
	_, err = n.step(ctx, "27_entries", chunks...)
	return err
}

// takesEntriesBack reports whether first views may have been on one of the days before.
func (n *night) takesEntriesBack(staged []time.Time) bool {
	return !n.full && slices.ContainsFunc(staged, func(day time.Time) bool { return n.published["entries_versions"][day].Version > 0 })
}

// entryDays returns the days whose entries are to be staged, in order.
func (n *night) entryDays(ctx context.Context, params warehouse.Params, staged []time.Time) ([]time.Time, error) {
	days := slices.Clone(staged)
	if !n.full {
		report := sql.Report("entry_days")
		var adding sync.Mutex
		err := n.where(ctx, report, func(ctx context.Context, db *warehouse.DB) error {
			var found []struct {
				Day time.Time `ch:"day"`
			}
			err := db.Select(ctx, &found, report.SQL, params.For(report.SQL))
			adding.Lock()
			defer adding.Unlock()
			for _, f := range found {
				days = append(days, f.Day.UTC())
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("query entry_days: %w", err)
		}
	}
	slices.SortFunc(days, time.Time.Compare)
	return slices.Compact(days), nil
}
