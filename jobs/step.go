package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// atOnce runs parts, so many of them at a time. An error of one ends the others; a panic
// is the caller's.
func atOnce(ctx context.Context, limit int, parts ...func(ctx context.Context) error) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(limit)
	var panicked atomic.Value
	for _, part := range parts {
		work.Go(func() (err error) {
			ended := false
			defer func() {
				if ended {
					return
				}
				// A part that was left by runtime.Goexit has not done its work either.
				panicked.Store(fmt.Sprintf("%v\n%s", recover(), debug.Stack()))
				err = errPanicked
			}()
			if err = ctx.Err(); err == nil {
				err = part(ctx)
			}
			ended = true
			return err
		})
	}
	err := work.Wait()
	if text := panicked.Load(); text != nil {
		panic(text)
	}
	return err
}

// errPanicked ends the other parts.
var errPanicked = errors.New("panicked")

// step runs one statement with each of the parameters, as many at once as the processors can take, and
// notes how long that took and how many rows it wrote. On a cluster it is run at home or on all shards, as its header says.
func (n *night) step(ctx context.Context, name string, parameters ...warehouse.Params) (written uint64, err error) {
	return n.sliced(ctx, name, func(context.Context, *warehouse.DB) ([]warehouse.Params, error) { return parameters, nil })
}

// sliced is step where each shard has parameters of its own.
func (n *night) sliced(ctx context.Context, name string, of func(context.Context, *warehouse.DB) ([]warehouse.Params, error)) (written uint64, err error) {
	statement := sql.Nightly(name)
	before, err := n.rowsIn(ctx, statement.Target)
	if err != nil {
		return 0, fmt.Errorf("step %s: %w", name, err)
	}
	started, begun := n.clock(), time.Now()
	err = n.where(ctx, statement, func(ctx context.Context, db *warehouse.DB) error {
		parameters, err := of(ctx, db)
		if err != nil {
			return err
		}
		parts := make([]func(context.Context) error, len(parameters))
		for i, params := range parameters {
			parts[i] = func(ctx context.Context) error {
				n.pace.begins(name, n.Progress)
				if err := db.Exec(ctx, statement.SQL, params.For(statement.SQL)); err != nil {
					return fmt.Errorf("step %s: %w", name, err)
				}
				n.pace.passes(name, len(parameters)*n.places(statement))
				return nil
			}
		}
		return atOnce(ctx, n.workers(), parts...)
	})
	if err != nil {
		return 0, err
	}
	took := time.Since(begun)
	after, err := n.count(ctx, statement.Target)
	if err != nil {
		return 0, fmt.Errorf("step %s: %w", name, err)
	}
	n.tables.Store(statement.Target, after)
	written = after - min(before, after) // a merge meanwhile may leave fewer of a table that replaces rows
	n.pace.ended(name, started, took, written)
	n.log.Debug("step done", "step", name, "cutoff", n.req.Cutoff, "rows", written, "ms", took.Milliseconds())
	return written, nil
}

// places is on how many nodes a statement runs.
func (n *night) places(statement sql.Statement) int {
	if statement.OnShards {
		return int(n.shards)
	}
	return 1
}

// where does something where a statement runs: on all shards at once, or at home.
func (n *night) where(ctx context.Context, statement sql.Statement, do func(ctx context.Context, db *warehouse.DB) error) error {
	if !statement.OnShards {
		return do(ctx, n.db)
	}
	shards, err := n.db.Shards(ctx)
	if err != nil {
		return err
	}
	parts := make([]func(context.Context) error, len(shards))
	for i, shard := range shards {
		parts[i] = func(ctx context.Context) error { return shard.At(do(ctx, shard)) }
	}
	return atOnce(ctx, len(parts), parts...)
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
	if slices.Contains(published, table) {
		query += " where version = {version:UInt64}"
	}
	err = n.db.Row(ctx, query, n.params.For(query), &rows)
	return rows, err
}

// sweptTables returns how many rows of a run the tables have after the sweep: none in the
// working set, none of the run's version.
func sweptTables() *sync.Map {
	var tables sync.Map
	for _, table := range working {
		tables.Store(table, uint64(0))
	}
	for _, table := range published {
		tables.Store(table, uint64(0))
	}
	return &tables
}

// rowsIn counts only what is not known: a query less for most steps.
func (n *night) rowsIn(ctx context.Context, table string) (uint64, error) {
	if rows, known := n.tables.Load(table); known {
		return rows.(uint64), nil
	}
	return n.count(ctx, table)
}
