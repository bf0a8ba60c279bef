package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/tieback/tieback/warehouse"
)

// stage writes the rows of the days concerned under the run's version, and checks them.
func (n *night) stage(ctx context.Context) error {
	if err := n.stageEvents(ctx); err != nil {
		return err
	}
	err := n.beside(ctx,
		func(ctx context.Context) error { return n.steps(ctx, "46_sessions_kept") },
		func(ctx context.Context) error { return n.steps(ctx, "47_exposures_kept") },
	)
	if err != nil {
		return err
	}
	err = n.beside(ctx, n.stageConversions, func(ctx context.Context) error {
		return n.check(ctx, func(name string) bool { return name == sessionsCheck })
	})
	if err != nil {
		return err
	}
	if err := n.check(ctx, func(name string) bool { return name != sessionsCheck && name != eventsCheck }); err != nil {
		return err
	}
	return n.total(ctx)
}

// stageEvents stages what client events alone decide, and says which of it is new. Meanwhile an
// incremental run reads its conversions; a full one has done so, since both hold much.
func (n *night) stageEvents(ctx context.Context) error {
	if n.full {
		return n.stageViews(ctx)
	}
	if err := n.beside(ctx, n.stageViews, n.drawConversions); err != nil {
		return err
	}
	return n.keepFirstOfViews(ctx)
}

// stageConversions stages what becomes of the conversions, and says which of it is new and why.
func (n *night) stageConversions(ctx context.Context) error {
	err := n.steps(ctx, "50_night_candidates", "55_night_views", "60_night_attributions", "70_night_outcomes", "72_night_versions_conversions")
	if err != nil {
		return err
	}
	if err := n.stagedDays(ctx); err != nil {
		return err
	}
	return n.beside(ctx,
		func(ctx context.Context) error {
			return n.steps(ctx, "73_attributions", "80_run_days", "85_run_changes")
		},
		func(ctx context.Context) error {
			const shares = 2
			var days []warehouse.Params
			for share := range shares {
				days = append(days, n.in(slice{}).With("day_shares", shares).With("day_share", share))
			}
			_, err := n.stepIn(ctx, "74_conversion_outcomes", days...)
			return err
		},
	)
}

// stageViews stages the sessions and exposures computed anew, and says which days have others now.
func (n *night) stageViews(ctx context.Context) error {
	var err error
	if n.visitors, err = n.visitorSlices(ctx); err != nil {
		return err
	}
	if _, err := n.stepIn(ctx, "30_sessions", n.visitors...); err != nil {
		return err
	}
	if err := n.cutLong(ctx); err != nil {
		return err
	}
	days, err := n.daySlices(ctx)
	if err != nil {
		return err
	}
	err = n.beside(ctx,
		func(ctx context.Context) error {
			_, err := n.stepIn(ctx, "40_exposures", days...)
			return err
		},
		func(ctx context.Context) error {
			return n.check(ctx, func(name string) bool { return name == eventsCheck })
		},
	)
	if err != nil {
		return err
	}
	return n.steps(ctx, "45_night_versions_events")
}

// stagedDays tells how many days have changed, once that is known.
func (n *night) stagedDays(ctx context.Context) error {
	query := "select uniqExact(day) from night_versions where version = {version:UInt64} and day between {from_day:Date} and {to_day:Date}"
	var days uint64
	if err := n.ask(ctx, "staged days", query, &days); err != nil {
		return err
	}
	n.pace.computes(days)
	return nil
}

// cutLong cuts the runs of events that reach the cap into sessions, if there are any.
func (n *night) cutLong(ctx context.Context) error {
	var long uint64
	query := "select count() from sessions_versions where session_day = {long_day:Date} and version = {version:UInt64}"
	if err := n.ask(ctx, "long stretches", query, &long); err != nil || long == 0 {
		return err
	}
	if err := n.steps(ctx, "31_night_long_moments"); err != nil {
		return err
	}
	for hop := uint32(0); ; hop++ {
		if added, err := n.with("hop", hop).step(ctx, "32_night_long_starts"); err != nil {
			return err
		} else if added == 0 {
			break
		}
	}
	if err := n.steps(ctx, "33_sessions_long"); err != nil {
		return err
	}
	const forget = "alter table sessions_versions drop partition ({long_day:Date}, {version:UInt64})"
	started, begun := n.clock(), time.Now()
	if err := n.db.Exec(ctx, forget, n.params.For(forget)); err != nil {
		return fmt.Errorf("forget the long stretches: %w", err)
	}
	n.tables.Delete("sessions_versions")
	n.pace.passedBy("forget the long stretches", started, time.Since(begun), 0)
	return nil
}
