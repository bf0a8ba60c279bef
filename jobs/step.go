package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/sql"
)

func (n *night) steps(ctx context.Context, names ...string) error {
	for _, name := range names {
		if _, err := n.step(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// beside runs two parts of the night at once, neither of which reads what the other one
// writes: most statements are too small to keep all processors busy. An error of one ends
// the other; a panic is the caller's.
func (n *night) beside(ctx context.Context, one, other func(ctx context.Context) error) error {
	parts, ctx := errgroup.WithContext(ctx)
	var panicked atomic.Value
	for _, part := range []func(context.Context) error{one, other} {
		parts.Go(func() (err error) {
			defer func() {
				if r := recover(); r != nil {
					panicked.Store(fmt.Sprintf("%v\n%s", r, debug.Stack()))
					err = errPanicked
				}
			}()
			return part(ctx)
		})
	}
	err := parts.Wait()
	if text := panicked.Load(); text != nil {
		panic(text)
	}
	return err
}

// errPanicked ends the part beside the one that panicked.
var errPanicked = errors.New("panicked")

// repeat runs a step until it adds nothing.
func (n *night) repeat(ctx context.Context, name string) error {
	for {
		if added, err := n.step(ctx, name); err != nil || added == 0 {
			return err
		}
	}
}

// step runs one statement, and notes how long it took and how many rows it wrote.
func (n *night) step(ctx context.Context, name string) (written uint64, err error) {
	statement := sql.Nightly(name)
	n.pace.begins(name, n.Progress)
	before, err := n.count(ctx, statement.Target)
	if err != nil {
		return 0, fmt.Errorf("step %s: %w", name, err)
	}
	started := n.clock()
	begun := time.Now()
	if err := n.db.Exec(ctx, statement.SQL, n.params.For(statement.SQL)); err != nil {
		return 0, fmt.Errorf("step %s: %w", name, err)
	}
	took := time.Since(begun)
	after, err := n.count(ctx, statement.Target)
	if err != nil {
		return 0, fmt.Errorf("step %s: %w", name, err)
	}
	written = after - before
	n.pace.ended(name, started, took, written)
	n.log.Debug("step done", "step", name, "cutoff", n.req.Cutoff, "rows", written, "ms", took.Milliseconds())
	return written, nil
}

// ask runs a query of one row between the steps, and notes how long it took.
func (n *night) ask(ctx context.Context, name, query string, dest ...any) error {
	started, begun := n.clock(), time.Now()
	if err := n.db.Row(ctx, query, n.params.For(query), dest...); err != nil {
		return fmt.Errorf("query %s: %w", name, err)
	}
	n.pace.passedBy("query "+name, started, time.Since(begun), 0)
	return nil
}

// count is answered from the table's metadata. Of the tables with versions it counts the
// run's own rows: others are being dropped.
func (n *night) count(ctx context.Context, table string) (rows uint64, err error) {
	query := "select count() from " + table
	if slices.ContainsFunc(published, func(p publishedTable) bool { return p.table == table }) {
		query += " where version = {version:UInt64}"
	}
	err = n.db.Row(ctx, query, n.params.For(query), &rows)
	return rows, err
}

func (n *night) empty(ctx context.Context, tables ...string) error {
	for _, table := range tables {
		if err := n.db.Exec(ctx, "truncate table "+table, nil); err != nil {
			return err
		}
	}
	return nil
}
