package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tieback/tieback/sql"
)

// Names of what a move works with, which are gone at its end.
const (
	beforeCluster = "_before_cluster" // ends the name of a table that holds what is left to be moved
	movingEvents  = "client_events_moving"
	movedParts    = "cluster_moved_parts"
)

// ErrMoving says that a move was cut off: a run would see a part of the rows.
var ErrMoving = errors.New("the tables are being spread over the cluster: `tieback migrate --move` goes on with it")

// Whole fails with ErrMoving while a move is not at its end.
func (db *DB) Whole(ctx context.Context) error {
	var moving uint8
	query := "select exists(select 1 from system.tables where database = currentDatabase() and endsWith(name, {end:String}))"
	err := db.Row(ctx, query, Params{"end": beforeCluster}, &moving)
	if err == nil && moving == 1 {
		err = ErrMoving
	}
	return err
}

// Move spreads the tables of one server, which becomes home, over the cluster (spec 8). Killed at any point, it is to be begun again and goes on. Events are
// accepted meanwhile, and go to the shards; runs wait, and readers see what was moved. moved is called for each part that was moved: a month of
// client events, or a day of another table.
func (db *DB) Move(ctx context.Context, moved func(table, part string, rows uint64)) error {
	newest, err := newestMigration()
	if err != nil {
		return err
	}
	has, dirty, err := db.schemaVersion(ctx)
	if errors.Is(err, ErrOneServer) {
		has, dirty, err = db.noted(ctx)
	}
	switch {
	case err != nil:
		return err
	case has != newest || dirty:
		return fmt.Errorf("the schema has version %d, this tieback needs %d: bring it up to date with `tieback migrate` without --cluster first", has, newest)
	}
	nodes, err := db.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.IsLocal == 0 && nodes.isHome(n) {
			return fmt.Errorf("home has a replica, %s: the tables of one server are moved to a home without one", n)
		}
	}
	run, err := db.Lock(ctx, "run", 0, func() { db.log.Info("a run is under way, waiting for its end") })
	if err != nil {
		return err
	}
	defer run.Release()
	migration, err := db.Lock(run.Context, "migrate", 0, nil)
	if err != nil {
		return err
	}
	defer migration.Release()
	ctx = migration.Context
	if err := db.makeSpread(ctx); err != nil {
		return err
	}
	if err := db.CheckShards(ctx); err != nil {
		return err
	}
	if err := db.awaitInserts(ctx); err != nil {
		return err
	}
	for _, table := range spreadTables() {
		left, err := db.partsLeft(ctx, table)
		if err != nil {
			return err
		}
		for _, part := range left {
			if table == "client_events" {
				err = db.moveEvents(ctx, part)
			} else {
				err = db.moveDay(ctx, table, part)
			}
			if err != nil {
				return fmt.Errorf("move the part %s of %s: %w", part.Name, table, err)
			}
			moved(table, part.Name, part.Rows)
		}
	}
	left, err := db.partsLeft(ctx, "client_events")
	if err == nil && len(left) > 0 {
		err = errors.New("client events came to the old table meanwhile: begin the move again")
	}
	if err != nil {
		return err
	}
	for _, table := range spreadTables() {
		if err := db.Exec(ctx, "drop table if exists "+table+beforeCluster+" sync", nil); err != nil {
			return err
		}
	}
	for _, statement := range []string{"drop table if exists " + movingEvents + " sync", "drop table if exists " + movedParts + " sync"} {
		if err := db.Exec(ctx, statement, nil); err != nil {
			return err
		}
	}
	return db.OnShards(ctx, func(ctx context.Context, shard *DB) error {
		return shard.Exec(ctx, "drop table if exists "+movingEvents+" sync", nil)
	})
}

// awaitInserts waits for the inserts that were under way when the tables changed their places: they write to the one that was set aside.
func (db *DB) awaitInserts(ctx context.Context) error {
	var begun time.Time
	if err := db.Row(ctx, "select now64(3, 'UTC')", nil, &begun); err != nil {
		return err
	}
	query := `select count() from system.processes
		where query_kind = 'Insert' and positionCaseInsensitive(query, 'client_events') > 0 and now64(3, 'UTC') - toIntervalMillisecond(toUInt64(elapsed * 1000)) <= {begun:DateTime64(3, 'UTC')}`
	for {
		var inserts uint64
		if err := db.Row(ctx, query, Params{"begun": Time(begun)}, &inserts); err != nil || inserts == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// spreadTables are the tables with rows to be moved; the working sets of runs are created empty.
func spreadTables() []string {
	return []string{"entries_versions", "sessions_versions", "exposures_versions", "client_events"}
}

// makeSpread makes the databases on all nodes, and puts Distributed tables in the place of home's, whose rows it sets aside.
func (db *DB) makeSpread(ctx context.Context) error {
	sides, err := db.sides(ctx)
	if err != nil {
		return err
	}
	home := sides[0].target
	for _, side := range sides {
		if side.target.Side == sql.HomeSide {
			continue
		}
		err := side.create(ctx)
		if err == nil {
			err = side.migrateUp(ctx)
		}
		if err != nil {
			return side.named(err)
		}
	}
	if err := db.noteShards(ctx); err != nil {
		return err
	}
	names := sql.Spread()
	slices.SortStableFunc(names, func(a, b string) int { // what says how the tables are spread comes first
		return slices.Index([]string{b}, "entries_versions") - slices.Index([]string{a}, "entries_versions")
	})
	for _, name := range names {
		var engine string
		if err := db.Row(ctx, "select any(engine) from system.tables where database = currentDatabase() and name = {name:String}", Params{"name": name}, &engine); err != nil {
			return err
		}
		var statements []string
		switch {
		case engine == "Distributed":
			continue
		case slices.Contains(spreadTables(), name):
			aside := name + beforeCluster
			statements = []string{"drop table if exists " + aside, home.MakeAs(name, aside), "exchange tables " + name + " and " + aside}
		case engine == "View":
			statements = []string{"drop view if exists " + name, home.Make(name)}
		default:
			statements = []string{"drop table if exists " + name + " sync", home.Make(name)}
		}
		for _, statement := range statements {
			if err := db.Exec(ctx, statement, nil); err != nil {
				return fmt.Errorf("make %s for the cluster: %w", name, err)
			}
		}
	}
	statement := "create table if not exists " + movedParts + " (part String) engine = MergeTree order by part settings fsync_after_insert = 1"
	return db.Exec(ctx, statement, nil)
}

// movedPart is a partition that is left at home.
type movedPart struct {
	ID   string `ch:"partition_id"`
	Name string `ch:"name"`
	Rows uint64 `ch:"part_rows"`
}

// partsLeft lists the partitions of a table that readers see and that are left at home, in order.
func (db *DB) partsLeft(ctx context.Context, table string) (left []movedPart, err error) {
	query := `select partition_id, any(partition) as name, sum(rows) as part_rows from system.parts
		where database = currentDatabase() and table = {aside:String} and active
			and ({table:String} = 'client_events'
				or partition in (select toString((day, max(version))) from published_days where table_name = {table:String} group by day))
		group by partition_id order by partition_id`
	err = db.Select(ctx, &left, query, Params{"table": table, "aside": table + beforeCluster})
	return left, err
}

// moveDay moves a day of a table with versions. What was moved of it before the end is dropped first.
func (db *DB) moveDay(ctx context.Context, table string, part movedPart) error {
	err := db.OnShards(ctx, func(ctx context.Context, shard *DB) error {
		return shard.Exec(ctx, "alter table "+table+" drop partition id '"+part.ID+"'", nil)
	})
	if err == nil {
		err = db.copyPart(ctx, table, table, part)
	}
	if err == nil {
		err = db.Exec(ctx, "alter table "+table+beforeCluster+" drop partition id '"+part.ID+"'", nil)
	}
	return err
}

// moveEvents moves a month of client events, into which new ones may come meanwhile: to staging tables first, and once it is noted that those have all of them, by
// one statement a shard into its own.
func (db *DB) moveEvents(ctx context.Context, part movedPart) error {
	var staged uint8
	if err := db.Row(ctx, "select exists(select 1 from "+movedParts+" where part = {part:String})", Params{"part": part.ID}, &staged); err != nil {
		return err
	}
	if staged == 0 {
		err := db.OnShards(ctx, func(ctx context.Context, shard *DB) error {
			if err := shard.Exec(ctx, "create table if not exists "+movingEvents+" as client_events", nil); err != nil {
				return err
			}
			return shard.Exec(ctx, "truncate table "+movingEvents, nil)
		})
		if err == nil {
			err = db.Exec(ctx, "create table if not exists "+movingEvents+" as client_events engine = Distributed("+quoteText(db.cluster)+", "+
				quoteText(db.shardDatabase())+", "+movingEvents+", cityHash64(customer_id, visitor_id))", nil)
		}
		if err == nil {
			err = db.copyPart(ctx, "client_events", movingEvents, part)
		}
		if err == nil {
			err = db.Exec(ctx, "insert into "+movedParts+" select {part:String}", Params{"part": part.ID})
		}
		if err != nil {
			return err
		}
	}
	var now uint64
	query := "select sum(rows) from system.parts where database = currentDatabase() and table = {aside:String} and active and partition_id = {part:String}"
	if err := db.Row(ctx, query, Params{"aside": "client_events" + beforeCluster, "part": part.ID}, &now); err != nil {
		return err
	}
	if now != part.Rows {
		return errors.New("client events came to it meanwhile: begin the move again")
	}
	err := db.OnShards(ctx, func(ctx context.Context, shard *DB) error {
		return shard.Exec(ctx, "alter table "+movingEvents+" move partition id '"+part.ID+"' to table client_events", nil)
	})
	if err != nil {
		return err
	}
	return db.Exec(ctx, "alter table client_events"+beforeCluster+" drop partition id '"+part.ID+"'", nil)
}

// copyPart inserts a partition that is left at home into a Distributed table that has none of it, and counts.
func (db *DB) copyPart(ctx context.Context, table, into string, part movedPart) error {
	if err := db.Exec(ctx, "insert into "+into+" select * from "+table+beforeCluster+" where _partition_id = {part:String}", Params{"part": part.ID}); err != nil {
		return err
	}
	var there uint64
	if err := db.Row(ctx, "select count() from "+into+" where _partition_id = {part:String}", Params{"part": part.ID}, &there); err != nil {
		return err
	}
	if there != part.Rows {
		return fmt.Errorf("%d rows are on the shards, of %d", there, part.Rows)
	}
	return nil
}
