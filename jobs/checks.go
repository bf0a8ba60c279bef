package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// sessionsCheck reads nothing but sessions, the largest of all that checks read, and goes on
// beside the steps after those.
const sessionsCheck = "sessions_keep_their_limits"

// eventsCheck counts what the sessions were made of, before others are carried over.
const eventsCheck = "sessions_hold_every_event"

// check runs those of sql/checks, two at once. A row that they return is wrong, and nothing is published.
func (n *night) check(ctx context.Context, which func(name string) bool) error {
	var parts []func(context.Context) error
	for _, check := range sql.Checks() {
		if which(check.Name) {
			parts = append(parts, func(ctx context.Context) error { return n.checkOne(ctx, check) })
		}
	}
	return atOnce(ctx, 2, parts...)
}

func (n *night) checkOne(ctx context.Context, check sql.Statement) error {
	const shown = 5
	n.pace.begins("check "+check.Name, n.Progress)
	started, begun := n.clock(), time.Now()
	parts := []warehouse.Params{n.params}
	if check.Name == sessionsCheck {
		parts = n.visitors // their sessions lie together: all at once, it would read from all parts at once
	}
	var columns []string
	var rows [][]string
	for _, params := range parts {
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
