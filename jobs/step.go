package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	if n.Progress != nil {
		n.Progress(n.pace.begins(name))
	}
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
	n.record.note(name, started, took, written)
	n.pace.ended(name, written)
	n.log.Debug("step done", "step", name, "cutoff", n.req.Cutoff, "rows", written, "ms", took.Milliseconds())
	return written, nil
}

// ask runs a query of one row between the steps, and notes how long it took.
func (n *night) ask(ctx context.Context, name, query string, dest ...any) error {
	started, begun := n.clock(), time.Now()
	if err := n.db.Row(ctx, query, n.params.For(query), dest...); err != nil {
		return fmt.Errorf("query %s: %w", name, err)
	}
	n.record.note("query "+name, started, time.Since(begun), 0)
	n.pace.passed += n.pace.before["query "+name]
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
