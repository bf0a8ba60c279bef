package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

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
	if n.req.erase != nil && !n.full {
		if err := n.addDays(ctx, "erased_days"); err != nil {
			return err
		}
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
	statement := sql.Report(report)
	rows := map[time.Time]uint64{}
	var adding sync.Mutex
	err := n.where(ctx, statement, func(ctx context.Context, db *warehouse.DB) error {
		var found []struct {
			Day  time.Time `ch:"day"`
			Rows uint64    `ch:"rows"`
		}
		err := db.Select(ctx, &found, statement.SQL, n.params.For(statement.SQL))
		adding.Lock()
		defer adding.Unlock()
		for _, f := range found {
			rows[f.Day.UTC()] += f.Rows
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("query %s: %w", report, err)
	}
	n.pace.passedBy("query "+report, started, time.Since(begun), 0)
	for day, found := range rows {
		isNew := n.published["sessions_versions"][day].Version == 0
		n.days[day] = dayToCompute{whole: n.full || isNew || n.inRange(day), rows: max(found, n.days[day].rows)}
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

// dayList writes days as ClickHouse reads an Array(Date) parameter.
func dayList(days []time.Time) []string {
	texts := make([]string, len(days))
	for i, day := range days {
		texts[i] = warehouse.Day(day)
	}
	return texts
}
