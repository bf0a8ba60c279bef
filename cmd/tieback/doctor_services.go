package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// silence is after what time without a report a service is not waited for by the night (sql/reports/undrained_services.sql).
const silence = 3 * time.Minute

// lookAtServices looks which services share ClickHouse, and for those that have stopped with events in their spools.
func (p *program) lookAtServices(ctx context.Context, db *warehouse.DB) finding {
	f := finding{subject: "services", warning: true}
	var rows []struct {
		Service string    `ch:"service"`
		Host    string    `ch:"last_host"`
		At      time.Time `ch:"last_at"`
		Waiting float64   `ch:"waiting_seconds"`
		Silent  int64     `ch:"silent_seconds"`
	}
	err := db.Select(ctx, &rows, sql.Report("services").SQL, nil)
	var refused *warehouse.Error
	if errors.As(err, &refused) && refused.Code == proto.ErrUnknownTable { // nothing has migrated yet
		f.found = "none has reported"
		return f
	}
	if err != nil {
		f.found, f.advice = err.Error(), "run `tieback migrate` if the schema is older"
		return f
	}
	var running, silent []string
	waiting := false
	for _, row := range rows {
		if time.Duration(row.Silent)*time.Second < silence {
			running = append(running, row.Host)
			continue
		}
		silent = append(silent, fmt.Sprintf("one on %s since %s", row.Host, stamp(row.At)))
		waiting = waiting || row.Waiting > spoolMoves.Seconds()
	}
	f.found = "none has reported in the last 3 minutes"
	if len(running) > 0 {
		f.found = fmt.Sprintf("%s reported in the last 3 minutes, on %s", human.Count(int64(len(running)), "service"), human.And(running))
	}
	if locks, err := db.Locks(ctx); err == nil {
		f.found += "; locks are " + locks
	}
	if len(silent) > 0 {
		f.found += "; silent: " + strings.Join(silent, ", ")
	}
	if waiting {
		f.advice = "events waited in the spool of a silent one: start `tieback serve` on its data folder again, and they count"
	}
	return f
}

// lookAtNodes looks whether all nodes of a cluster answer, and have the schema.
func (p *program) lookAtNodes(ctx context.Context, db *warehouse.DB) finding {
	f := finding{subject: "cluster"}
	nodes, err := db.NodeSchemas(ctx)
	if err != nil {
		f.found, f.advice = err.Error(), "docs/scaling.md has what a cluster needs"
		return f
	}
	var wrong []string
	for _, n := range nodes {
		switch {
		case n.Err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: %v", n.Where, n.Err))
			f.advice = "start it: runs wait for it, and client events stay in the spools"
		case n.Version != nodes[0].Version:
			wrong = append(wrong, fmt.Sprintf("%s has schema version %d, %s has %d", n.Where, n.Version, nodes[0].Where, nodes[0].Version))
			f.advice = "run `tieback migrate`"
		}
	}
	f.found = human.Count(int64(len(nodes)), "node") + " of " + p.cluster + " answer, with the same schema"
	if err := db.Whole(ctx); err != nil {
		wrong, f.advice = append(wrong, err.Error()), "run `tieback migrate --move`"
	}
	if len(wrong) > 0 {
		f.found = strings.Join(wrong, "; ")
	}
	return f
}
