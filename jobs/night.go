package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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
	threads uint64 // of the engine for a statement
	shards  uint64 // of the cluster, 1 for one server
	pace    *pace
	tables  *sync.Map // names of tables to how many rows of the run they are known to have

	days      map[time.Time]dayToCompute           // whose sessions and exposures are computed
	entered   []time.Time                          // days whose entries are staged
	crowded   bool                                 // whether there are users with very many visitors
	decided   []time.Time                          // days whose conversions are decided
	published map[string]map[time.Time]publishedAs // by table and day
}

// errNothingChanged ends a run that has nothing to do.
var errNothingChanged = errors.New("nothing has changed")

// stage computes and stages all that the plan has. It reports false when nothing has changed.
func (n *night) stage(ctx context.Context) (anything bool, err error) {
	if err := n.ask(ctx, "threads", "select toUInt64(getSetting('max_threads'))", &n.threads); err != nil {
		return false, err
	}
	shards, err := n.db.Shards(ctx)
	if err != nil {
		return false, err
	}
	n.shards = uint64(len(shards))
	for _, stage := range plan {
		var parts []func(context.Context) error
		for _, lane := range stage {
			parts = append(parts, func(ctx context.Context) error {
				for _, part := range lane {
					if err := part(ctx, n); err != nil {
						return err
					}
				}
				return nil
			})
		}
		err := atOnce(ctx, len(parts), parts...)
		if errors.Is(err, errNothingChanged) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, n.total(ctx)
}

// walk computes the days in order, each from the sessions that the one before left open. Where those
// came out different for visitors, their next day is computed, too.
func (n *night) walk(ctx context.Context, name, after string) error {
	for days := n.allDays(); len(days) > 0; {
		today := days[0]
		_, err := n.sliced(ctx, name, func(ctx context.Context, shard *warehouse.DB) ([]warehouse.Params, error) {
			return n.slicesOf(ctx, shard, today, "sessions_versions")
		})
		if err != nil {
			return err
		}
		if err := n.findCopies(ctx, today); err != nil {
			return err
		}
		days = days[1:]
		tomorrow := today.Add(day)
		if n.days[tomorrow].whole || n.full {
			continue
		}
		added, err := n.step(ctx, after, n.ofDay(today, "sessions_versions"))
		if err != nil {
			return err
		}
		if _, known := n.days[tomorrow]; added > 0 && !known {
			n.days[tomorrow] = dayToCompute{rows: added}
			days = append([]time.Time{tomorrow}, days...)
		}
	}
	return nil
}

// findCopies notes whether a day whose sessions are staged has copies of client events.
func (n *night) findCopies(ctx context.Context, today time.Time) error {
	report := sql.Report("day_has_copies")
	params := n.ofDay(today, "sessions_versions").For(report.SQL)
	var found atomic.Bool
	err := n.where(ctx, report, func(ctx context.Context, db *warehouse.DB) error {
		var has bool
		err := db.Row(ctx, report.SQL, params, &has)
		if has {
			found.Store(true)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("query day_has_copies: %w", err)
	}
	d := n.days[today]
	d.hasCopies = found.Load()
	n.days[today] = d
	return nil
}

// eachDay computes the days independently of each other; small ones that are computed whole in one statement.
func (n *night) eachDay(ctx context.Context, name string) error {
	together := n.together(n.allDays(), func(d dayToCompute) bool { return d.whole && !d.hasCopies })
	if len(together) == 0 {
		return nil
	}
	_, err := n.sliced(ctx, name, func(ctx context.Context, shard *warehouse.DB) (all []warehouse.Params, err error) {
		for _, days := range together {
			slices, err := n.slicesOf(ctx, shard, days[0], sql.Nightly(name).Target)
			if err != nil {
				return nil, err
			}
			for _, slice := range slices {
				all = append(all, slice.With("last_day", warehouse.Day(days[len(days)-1])))
			}
		}
		return all, nil
	})
	return err
}

// ofDay returns the parameters of a step for a day of a table.
func (n *night) ofDay(today time.Time, table string) warehouse.Params {
	params := maps.Clone(n.params)
	params["day"], params["whole"] = warehouse.Day(today), flag(n.days[today].whole)
	params["has_copies"] = flag(n.days[today].hasCopies)
	params["version_of_day"], params["version_before"] = n.published[table][today].Version, n.versionNow(today.Add(-day), table)
	return params
}

// versionNow is the version of a table's day once the run is published, before it is known whether it differs.
func (n *night) versionNow(day time.Time, table string) uint64 {
	if _, staged := n.days[day]; staged {
		return n.record.Version
	}
	return n.published[table][day].Version
}

// versions says which days of a table came out different.
func (n *night) versions(ctx context.Context, table string) error {
	staged := n.allDays()
	switch table {
	case "entries_versions":
		staged = n.entered
	case "decisions_versions":
		staged = n.decided
	}
	_, err := n.step(ctx, "23_night_versions", n.params.With("table", table).With("table_name", table).With("staged_days", dayList(staged)))
	return err
}

// decide stages the decisions of the days that the conversions to decide lie on; those of a range and,
// in a full run, all that are published are staged too, as they may have none any more.
func (n *night) decide(ctx context.Context, name string) error {
	var found []struct {
		Day time.Time `ch:"day"`
	}
	if err := n.db.Select(ctx, &found, sql.Report("decided_days").SQL, nil); err != nil {
		return fmt.Errorf("query decided_days: %w", err)
	}
	for _, f := range found {
		n.decided = append(n.decided, f.Day.UTC())
	}
	for day := range n.published["decisions_versions"] {
		if n.full || n.inRange(day) {
			n.decided = append(n.decided, day)
		}
	}
	slices.SortFunc(n.decided, time.Time.Compare)
	n.decided = slices.Compact(n.decided)
	n.pace.computes(len(slices.Compact(slices.SortedFunc(slices.Values(append(n.allDays(), n.decided...)), time.Time.Compare))))
	var chunks []warehouse.Params
	for days := range slices.Chunk(n.decided, daysPerStatement) {
		chunks = append(chunks, n.params.With("decided_days", dayList(days)))
	}
	if len(chunks) == 0 {
		return nil
	}
	_, err := n.step(ctx, name, chunks...)
	return err
}

// daysPerStatement bounds how many days are staged at once: a part is read and one written for each, which takes memory.
const daysPerStatement = 150

// total counts what is staged.
func (n *night) total(ctx context.Context) error {
	var days uint64
	if err := n.ask(ctx, "run_totals", sql.Report("run_totals").SQL, &days, &n.record.Rows); err != nil {
		return err
	}
	n.record.Days = uint32(days)
	return nil
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}
