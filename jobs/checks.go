package jobs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// check runs those of sql/checks that read a table, two at once. A row that they return is wrong, and nothing is published.
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
	var adding sync.Mutex
	err := n.where(ctx, check, func(ctx context.Context, db *warehouse.DB) error {
		for _, params := range n.checkedWith(check) {
			names, wrong, err := db.Table(ctx, check.SQL, params.For(check.SQL))
			if err != nil {
				return fmt.Errorf("check %s: %w", check.Name, err)
			}
			adding.Lock()
			columns, rows = names, append(rows, wrong...)
			adding.Unlock()
		}
		return nil
	})
	if err != nil {
		return err
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

// checkedWith returns the parameters that a check is run with: once, for each day with copies, where a
// comparison of numbers has not shown yet that all is there, or for a few days at a time.
func (n *night) checkedWith(check sql.Statement) (params []warehouse.Params) {
	switch {
	case strings.Contains(check.SQL, "{day:"):
		for _, today := range n.daysWhere(func(d dayToCompute) bool { return d.hasCopies }) {
			params = append(params, n.ofDay(today, "sessions_versions"))
		}
	case strings.Contains(check.SQL, "{first_day:"):
		for _, days := range n.together(n.allDays(), func(dayToCompute) bool { return true }) {
			params = append(params, n.params.With("first_day", warehouse.Day(days[0])).With("last_day", warehouse.Day(days[len(days)-1])))
		}
	default:
		params = append(params, n.params.With("checked_days", dayList(n.allDays())))
	}
	return params
}
