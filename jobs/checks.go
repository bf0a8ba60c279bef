package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// check runs those of sql/checks that read a table, two at once. Those with a day are run for each day
// of the table that came out different. A row that they return is wrong, and nothing is published.
func (n *night) check(ctx context.Context, table string) error {
	var parts []func(context.Context) error
	for _, check := range sql.Checks() {
		if strings.HasPrefix(check.Name, "sessions_") == (table == "sessions_versions") {
			parts = append(parts, func(ctx context.Context) error { return n.checkOne(ctx, check) })
		}
	}
	return atOnce(ctx, 2, parts...)
}

func (n *night) checkOne(ctx context.Context, check sql.Statement) error {
	const shown = 5
	n.pace.begins("check "+check.Name, n.Progress)
	started, begun := n.clock(), time.Now()
	var columns []string
	var rows [][]string
	for _, params := range n.checkedWith(check) {
		names, wrong, err := n.db.Table(ctx, check.SQL, params.For(check.SQL))
		if err != nil {
			return fmt.Errorf("check %s: %w", check.Name, err)
		}
		columns, rows = names, append(rows, wrong...)
	}
	n.pace.passedBy("check "+check.Name, started, time.Since(begun), uint64(len(rows)))
	if len(rows) == 0 {
		return nil
	}
	var lines []string
	for _, row := range rows[:min(shown, len(rows))] {
		lines = append(lines, strings.Join(row, " | "))
	}
	return fmt.Errorf("check %s found %d wrong rows, nothing was published; the first, %s:\n%s",
		check.Name, len(rows), strings.Join(columns, " | "), strings.Join(lines, "\n"))
}

// checkedWith returns the parameters that a check is run with: once, or for each day staged. What goes on
// from one day to the next is looked at on the days after those, too; what holds every event only where
// a comparison of their number has not shown it.
func (n *night) checkedWith(check sql.Statement) []warehouse.Params {
	if !strings.Contains(check.SQL, "{day:") {
		return []warehouse.Params{n.params}
	}
	days := n.allDays()
	if strings.Contains(check.SQL, "{settled_before:") {
		days = n.daysWhere(func(d dayToCompute) bool { return d.hasCopies }) // on the others each row is an event
	}
	if strings.Contains(check.SQL, "{version_before:") {
		for _, today := range days {
			days = append(days, today.Add(day))
		}
		slices.SortFunc(days, time.Time.Compare)
		days = slices.Compact(days)
	}
	params := make([]warehouse.Params, len(days))
	for i, today := range days {
		params[i] = n.ofDay(today, "sessions_versions").With("version_now", n.versionNow(today, "sessions_versions"))
	}
	return params
}
