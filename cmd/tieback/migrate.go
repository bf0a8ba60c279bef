package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse"
)

type migrateCmd struct {
	Move bool `help:"Spread the tables of one server over the cluster that --cluster names. Cut off, it goes on where it was when it is begun again."`
}

func (c *migrateCmd) Run(ctx context.Context, p *program) error {
	if c.Move && p.cluster == "" {
		return usagef("--move spreads the tables over a cluster: name it with --cluster")
	}
	if err := p.restoredWhole(); err != nil {
		return err
	}
	db, err := p.openUnmigrated(ctx, false)
	if err != nil {
		return err
	}
	defer db.Close()
	if c.Move {
		if err := p.moveToCluster(ctx, db); err != nil {
			return err
		}
	}
	before, after, err := db.Migrate(ctx)
	if err != nil {
		return err
	}
	if before == after {
		fmt.Fprintf(p.stdout, "the schema is at version %d, nothing to do\n", after)
	} else {
		fmt.Fprintf(p.stdout, "the schema went from version %d to %d\n", before, after)
	}
	if err := p.showNodes(ctx, db, after); err != nil {
		return err
	}
	return db.Close()
}

// moveToCluster spreads the tables of one server.
func (p *program) moveToCluster(ctx context.Context, db *warehouse.DB) error {
	var parts int
	var rows uint64
	err := db.Move(ctx, func(table, part string, moved uint64) {
		parts, rows = parts+1, rows+moved
		fmt.Fprintf(p.stdout, "%s, %s: %s\n", table, part, human.Count(int64(moved), "row"))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "moved %s of %s to the shards of %s\n", human.Count(int64(rows), "row"), human.Count(int64(parts), "part"), p.cluster)
	return nil
}

// showNodes lists the nodes of a cluster with the version of their schema.
func (p *program) showNodes(ctx context.Context, db *warehouse.DB, newest int) error {
	nodes, err := db.NodeSchemas(ctx)
	if err != nil || len(nodes) == 0 {
		return err
	}
	t := newTable("shard", "node", "", "schema")
	behind := false
	for _, n := range nodes {
		role, version := "", strconv.Itoa(n.Version)
		if n.Home {
			role = "home"
		}
		switch {
		case errors.Is(n.Err, warehouse.ErrAway):
			version, behind = "does not answer", true
		case n.Err != nil:
			version, behind = n.Err.Error(), true
		}
		behind = behind || n.Version < newest
		t.AppendRow(table.Row{n.Shard, n.Where, role, version})
	}
	if err := render(p.stdout, t); err != nil {
		return err
	}
	if behind {
		return errors.New("not all nodes have the newest schema: run `tieback migrate` again when they answer")
	}
	return nil
}
