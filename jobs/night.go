package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// night is one run under way.
type night struct {
	*Runner
	req     Request
	record  *Record
	params  warehouse.Params
	full    bool
	rows    uint64 // client events to be read
	threads uint64 // of the engine for a statement
	pace    *pace
	tables  *sync.Map // names of tables to how many rows of the run they are known to have

	visitors []warehouse.Params // of the slices of visitors that have sessions staged
}

// with returns the night with one more parameter for its statements. What goes on beside it
// does not see it.
func (n *night) with(name string, value any) *night {
	other := *n
	other.params = n.params.With(name, value)
	return &other
}

// prepare finds what is to be computed anew: which visitor-days, which conversions. It
// reports false when nothing has changed.
func (n *night) prepare(ctx context.Context) (anything bool, err error) {
	if err := n.ask(ctx, "threads", "select toUInt64(getSetting('max_threads'))", &n.threads); err != nil {
		return false, err
	}
	if err := n.steps(ctx, "05_run_names"); err != nil {
		return false, err
	}
	if n.full {
		return true, n.prepareAll(ctx)
	}
	if n.req.From == nil {
		if err := n.newDays(ctx); err != nil {
			return false, err
		}
	}
	var changed uint64
	var hop uint32
	err = n.beside(ctx,
		func(ctx context.Context) error {
			var err error
			changed, err = n.changed(ctx)
			return err
		},
		func(ctx context.Context) error {
			err := n.steps(ctx, "10_night_days", "12_night_identifies", "13_night_keys_received", "14_night_keys_identity", "16_night_keys_names")
			if err != nil {
				return err
			}
			hop, err = n.chains(ctx, 0)
			return err
		},
	)
	if err != nil {
		return false, err
	}
	keys, err := n.count(ctx, "night_keys")
	if err != nil || changed+keys == 0 && n.req.From == nil {
		return false, err
	}
	return true, n.drawCopies(ctx, hop+1)
}

// changed counts the client events that are new to the run, and finds the copies of them.
func (n *night) changed(ctx context.Context) (rows uint64, err error) {
	var firstReceived time.Time
	if err := n.ask(ctx, "changed_rows", sql.Report("changed_rows").SQL, &rows, &firstReceived); err != nil || rows == 0 {
		return rows, err
	}
	return rows, n.with("few_changed", flag(rows <= n.fewRows)).
		with("copies_since", warehouse.Time(firstReceived.UTC().Add(-copiesReach))).
		doubles(ctx, "08_doubled_events")
}

// prepareAll is what a full run prepares.
func (n *night) prepareAll(ctx context.Context) (err error) {
	if n.rows, err = n.count(ctx, "client_events"); err != nil {
		return err
	}
	// Not beside each other: both hold much.
	if err := n.steps(ctx, "20_night_conversions"); err != nil {
		return err
	}
	if err := n.doubles(ctx, "09_doubled_events_next"); err != nil {
		return err
	}
	if err := n.keepFirst(ctx); err != nil {
		return err
	}
	return n.steps(ctx, "12_night_identifies", "22_night_links")
}

// newDays lets the days since the last one published be computed whole: that costs
// less than a list of all their visitors.
func (n *night) newDays(ctx context.Context) error {
	var last time.Time
	query := "select max(day) from published_days where greatest(sessions_version, exposures_version) > 0 and day <= toDate({cutoff:DateTime64(3, 'UTC')})"
	if err := n.ask(ctx, "last day", query, &last); err != nil {
		return err
	}
	n.params = n.params.With("whole_from", warehouse.Day(last.Add(day))).With("whole_to", warehouse.Day(n.req.Cutoff))
	return nil
}

// chains draws in the visitor-days that chains of sessions connect with those of a hop,
// until nothing is added. It returns the last hop that added any.
func (n *night) chains(ctx context.Context, hop uint32) (uint32, error) {
	for {
		if added, err := n.with("hop", hop+1).step(ctx, "11_night_days_chains"); err != nil || added == 0 {
			return hop, err
		}
		hop++
	}
}

// drawCopies completes the visitor-days by those of copies, as a hop of their own, and says
// what will be read.
func (n *night) drawCopies(ctx context.Context, hop uint32) error {
	if copied, err := n.with("hop", hop).step(ctx, "18_night_days_copies"); err != nil {
		return err
	} else if copied > 0 {
		if _, err := n.chains(ctx, hop); err != nil {
			return err
		}
	}
	if err := n.keepFirst(ctx); err != nil {
		return err
	}
	return n.ask(ctx, "rows_to_read", sql.Report("rows_to_read").SQL, &n.rows)
}

// drawConversions reads the conversions to decide, and who may have made them. It reads
// nothing of what is staged, nor writes what that is made of.
func (n *night) drawConversions(ctx context.Context) error {
	if err := n.steps(ctx, "15_night_keys_views"); err != nil {
		return err
	}
	if err := n.conversions(ctx); err != nil {
		return err
	}
	return n.steps(ctx, "22_night_links")
}

// conversions takes the conversions of the keys listed, with those that share an
// ingest_id with them.
func (n *night) conversions(ctx context.Context) error {
	for {
		if err := n.steps(ctx, "19_night_key_days", "20_night_conversions"); err != nil {
			return err
		}
		if added, err := n.step(ctx, "21_night_keys_copies"); err != nil || added == 0 {
			return err
		}
		if err := n.empty(ctx, "night_key_days", "night_conversions"); err != nil {
			return err
		}
	}
}

// doubles looks for copies of the rows that are new to the run, if they are few, else for
// all copies, and lets remember keep those that it finds.
func (n *night) doubles(ctx context.Context, remember string) error {
	if hashes, err := n.step(ctx, "06_night_doubled_hashes"); err != nil || hashes == 0 {
		return err
	}
	if doubled, err := n.step(ctx, "07_night_doubled_ids"); err != nil || doubled == 0 {
		return err
	}
	return n.steps(ctx, remember)
}

// keepFirst takes the copy of each doubled event that counts. Where there are none, no step
// reads the ids of all events.
func (n *night) keepFirst(ctx context.Context) error {
	if any, err := n.anyDoubled(ctx); err != nil {
		return err
	} else if any {
		if err := n.steps(ctx, "24_night_doubles"); err != nil {
			return err
		}
	}
	doubled, err := n.count(ctx, "night_doubles")
	n.params = n.params.With("doubled", flag(doubled > 0))
	return err
}

// keepFirstOfViews does the same for the views that conversions may be attributed to.
func (n *night) keepFirstOfViews(ctx context.Context) error {
	if any, err := n.anyDoubled(ctx); err != nil || !any {
		return err
	}
	if err := n.steps(ctx, "23_night_view_days"); err != nil {
		return err
	}
	return n.keepFirst(ctx)
}

// anyDoubled reports whether any event is known to have come twice.
func (n *night) anyDoubled(ctx context.Context) (bool, error) {
	table := "doubled_events"
	if n.full {
		table = "doubled_events_next"
	}
	rows, err := n.count(ctx, table)
	return rows > 0, err
}

// total counts what is staged.
func (n *night) total(ctx context.Context) error {
	var days uint64
	if err := n.ask(ctx, "run_totals", sql.Report("run_totals").SQL, &days, &n.record.Rows); err != nil {
		return err
	}
	n.record.Days = uint32(days)
	return nil
}

// remember keeps the links and the copies that were read for the next run. A range leaves
// that to the next run over all days, which takes the same rows into account once more.
func (n *night) remember(ctx context.Context) error {
	switch {
	case n.req.From != nil:
		return nil
	case !n.full:
		return n.steps(ctx, "97_identifies")
	}
	if err := n.steps(ctx, "98_identifies_next"); err != nil {
		return err
	}
	for _, table := range []string{"identifies", "doubled_events"} {
		if err := n.db.Exec(ctx, "exchange tables "+table+" and "+table+"_next", nil); err != nil {
			return err
		}
	}
	// What was replaced may be of people who were to be forgotten.
	return n.empty(ctx, "identifies_next", "doubled_events_next")
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}
