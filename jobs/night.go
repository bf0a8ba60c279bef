package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	threads uint64 // of the engine for a statement
	pace    *pace
	tables  *sync.Map // names of tables to how many rows of the run they are known to have

	days      map[time.Time]dayToCompute           // whose sessions and exposures are computed
	crowded   bool                                 // whether there are users with very many visitors
	decided   []time.Time                          // days whose conversions are decided
	published map[string]map[time.Time]publishedAs // by table and day
}

// dayToCompute is a day of client events that the run computes.
type dayToCompute struct {
	whole     bool   // all its visitors, not only those listed
	rows      uint64 // about how many events are read
	hasCopies bool   // of client events (R5), once its sessions are staged
}

// publishedAs is the version of a table's day that readers see.
type publishedAs struct {
	Table   string    `ch:"table_name"`
	Day     time.Time `ch:"day"`
	Version uint64    `ch:"version"`
}

// errNothingChanged ends a run that has nothing to do.
var errNothingChanged = errors.New("nothing has changed")

// stage computes and stages all that the plan has. It reports false when nothing has changed.
func (n *night) stage(ctx context.Context) (anything bool, err error) {
	if err := n.ask(ctx, "threads", "select toUInt64(getSetting('max_threads'))", &n.threads); err != nil {
		return false, err
	}
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

// newDays finds the days whose client events are to be computed. Days that were never published are
// computed whole, which costs less than a list of all their visitors; so are those of a range, and
// in a full run all, also those that have no events any more.
func (n *night) newDays(ctx context.Context) error {
	var seen []publishedAs
	if err := n.db.Select(ctx, &seen, sql.Report("published_versions").SQL, nil); err != nil {
		return fmt.Errorf("read which days are published: %w", err)
	}
	n.published = map[string]map[time.Time]publishedAs{}
	for _, table := range published {
		n.published[table] = map[time.Time]publishedAs{}
	}
	for _, p := range seen {
		p.Day = p.Day.UTC()
		n.published[p.Table][p.Day] = p
	}
	n.days = map[time.Time]dayToCompute{}
	if err := n.addDays(ctx, "new_days"); err != nil {
		return err
	}
	if n.req.From != nil && !n.full {
		if err := n.addDays(ctx, "range_days"); err != nil {
			return err
		}
	}
	for day := range n.published["sessions_versions"] {
		if _, known := n.days[day]; !known && (n.full || n.inRange(day)) {
			n.days[day] = dayToCompute{whole: true}
		}
	}
	n.params = n.params.With("whole_days", dayList(n.daysWhere(func(d dayToCompute) bool { return d.whole && !n.full })))
	return nil
}

// addDays adds the days that a report returns.
func (n *night) addDays(ctx context.Context, report string) error {
	started, begun := n.clock(), time.Now()
	var found []struct {
		Day  time.Time `ch:"day"`
		Rows uint64    `ch:"rows"`
	}
	query := sql.Report(report).SQL
	if err := n.db.Select(ctx, &found, query, n.params.For(query)); err != nil {
		return fmt.Errorf("query %s: %w", report, err)
	}
	n.pace.passedBy("query "+report, started, time.Since(begun), 0)
	for _, f := range found {
		day := f.Day.UTC()
		isNew := n.published["sessions_versions"][day].Version == 0
		n.days[day] = dayToCompute{whole: n.full || isNew || n.inRange(day), rows: max(f.Rows, n.days[day].rows)}
	}
	return nil
}

// inRange reports whether a day was asked for.
func (n *night) inRange(day time.Time) bool {
	return n.req.From != nil && !day.Before(*n.req.From) && !day.After(*n.req.To)
}

// daysWhere returns the days to compute that match, in order.
func (n *night) daysWhere(matches func(dayToCompute) bool) (days []time.Time) {
	for _, day := range slices.SortedFunc(maps.Keys(n.days), time.Time.Compare) {
		if matches(n.days[day]) {
			days = append(days, day)
		}
	}
	return days
}

func (n *night) allDays() []time.Time { return n.daysWhere(func(dayToCompute) bool { return true }) }

// walk computes the days in order, each from the sessions that the one before left open. Where those
// came out different for visitors, their next day is computed, too.
func (n *night) walk(ctx context.Context, name, after string) error {
	for days := n.allDays(); len(days) > 0; {
		today := days[0]
		slices, err := n.slicesOf(ctx, today, "sessions_versions")
		if err != nil {
			return err
		}
		if _, err := n.step(ctx, name, slices...); err != nil {
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
	query := sql.Report("day_has_copies").SQL
	found := n.days[today]
	if err := n.db.Row(ctx, query, n.ofDay(today, "sessions_versions").For(query), &found.hasCopies); err != nil {
		return fmt.Errorf("query day_has_copies: %w", err)
	}
	n.days[today] = found
	return nil
}

// eachDay computes the days independently of each other; small ones that are computed whole in one statement.
func (n *night) eachDay(ctx context.Context, name string) error {
	var all []warehouse.Params
	for _, days := range n.together(n.allDays(), func(d dayToCompute) bool { return d.whole && !d.hasCopies }) {
		slices, err := n.slicesOf(ctx, days[0], sql.Nightly(name).Target)
		if err != nil {
			return err
		}
		for _, slice := range slices {
			all = append(all, slice.With("last_day", warehouse.Day(days[len(days)-1])))
		}
	}
	if len(all) == 0 {
		return nil
	}
	_, err := n.step(ctx, name, all...)
	return err
}

// together puts days that follow each other and match into one statement, as long as they are small.
func (n *night) together(days []time.Time, matches func(dayToCompute) bool) (groups [][]time.Time) {
	var rows uint64
	for i, today := range days {
		d := n.days[today]
		rows += d.rows
		if i > 0 && rows < n.smallRows && days[i-1].Add(day).Equal(today) && matches(d) && matches(n.days[days[i-1]]) {
			groups[len(groups)-1] = append(groups[len(groups)-1], today)
			continue
		}
		groups, rows = append(groups, []time.Time{today}), d.rows
	}
	return groups
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
	if table == "decisions_versions" {
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
	const perStatement = 150 // a part is read and one written for each day, which takes memory
	var chunks []warehouse.Params
	for days := range slices.Chunk(n.decided, perStatement) {
		chunks = append(chunks, n.params.With("decided_days", dayList(days)))
	}
	if len(chunks) == 0 {
		return nil
	}
	_, err := n.step(ctx, name, chunks...)
	return err
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

// dayList writes days as ClickHouse reads an Array(Date) parameter.
func dayList(days []time.Time) []string {
	texts := make([]string, len(days))
	for i, day := range days {
		texts[i] = warehouse.Day(day)
	}
	return texts
}

func flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}
