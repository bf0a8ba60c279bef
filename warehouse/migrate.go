package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/golang-migrate/migrate/v4"
	chmigrate "github.com/golang-migrate/migrate/v4/database/clickhouse"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/tieback/tieback/sql"
)

// Migrate brings the schema up to date and returns the version before and after.
// A migration that was killed half-way is run again: each is one statement that
// does nothing where its work is done.
func (db *DB) Migrate(ctx context.Context) (before, after int, err error) {
	newest, err := newestMigration()
	if err != nil {
		return 0, 0, err
	}
	if err := db.createDatabase(ctx); err != nil {
		return 0, 0, err
	}
	before, dirty, err := db.schemaVersion(ctx)
	if err != nil {
		return 0, 0, err
	}
	if before > newest {
		return before, before, fmt.Errorf("the data has schema version %d, this tieback knows %d: use the newer tieback", before, newest)
	}
	isNew := before == 0 && !dirty
	if !isNew && db.cluster != "" {
		if _, _, err := db.spread(ctx); err != nil { // before anything is made on nodes that are none of ours
			return before, 0, err
		}
	}
	sides, err := db.behind(ctx, newest, isNew)
	if err != nil {
		return before, 0, err
	}
	if len(sides) == 0 {
		return before, newest, db.noteShards(ctx)
	}
	if isNew && db.engine == nil {
		if err := db.chooseRegister(ctx); err != nil {
			return 0, 0, fmt.Errorf("make the table of the locks: %w", err)
		}
	}
	// What a run inserts into a table that a migration replaces would be lost.
	run, err := db.Lock(ctx, "run", 0, func() { db.log.Info("a run is under way, waiting for its end to migrate the schema") })
	if err != nil {
		return 0, 0, err
	}
	defer run.Release()
	migration, err := db.Lock(run.Context, "migrate", 0, nil)
	if err != nil {
		return 0, 0, err
	}
	defer migration.Release()
	ctx = migration.Context
	for _, side := range sides {
		if err := side.forgetCutOff(ctx); err != nil {
			return before, 0, fmt.Errorf("drop what a migration left that was cut off: %w", err)
		}
		if err := side.migrateUp(ctx); err != nil {
			return before, 0, fmt.Errorf("migrate the schema: %w", side.named(err))
		}
	}
	return before, newest, db.noteShards(ctx)
}

// behind returns the databases that have not the newest schema, and makes those that are missing. Other nodes than home may be away, unless the schema is new:
// they are brought up to date when they are there.
func (db *DB) behind(ctx context.Context, newest int, isNew bool) (list []side, err error) {
	sides, err := db.sides(ctx)
	if err != nil {
		return nil, err
	}
	for _, side := range sides {
		var has int
		var dirty bool
		err := side.create(ctx)
		if err == nil {
			has, dirty, err = side.noted(ctx)
		}
		switch {
		case errors.Is(err, ErrAway) && side.DB != db && !isNew:
			db.log.Warn("a node of the cluster does not answer: its schema was not looked at", "node", side.Where(), "err", err)
		case err != nil:
			return nil, side.named(err)
		case has < newest || dirty:
			list = append(list, side)
		case has > newest:
			return nil, side.named(fmt.Errorf("the schema has version %d, this tieback knows %d: use the newer tieback", has, newest))
		}
	}
	return list, nil
}

// named says at which node of a cluster an error was.
func (s side) named(err error) error {
	if s.target.Side == sql.OneServer {
		return err
	}
	return fmt.Errorf("at %s, database %s: %w", s.Where(), s.database, err)
}

// chooseRegister makes keeper_locks in a database that has no lock yet, if ClickHouse has a Keeper for it: once locks are written in one way,
// all must go on with that.
func (db *DB) chooseRegister(ctx context.Context) error {
	locks, err := db.locksBetween(ctx, "system.tables where database = currentDatabase() and", "lock_", "", "")
	if err != nil || len(locks) > 0 {
		return err
	}
	return db.makeKeeperRegister(ctx)
}

// Schema returns the version that the schema has, 0 for none, and the newest there is.
func (db *DB) Schema(ctx context.Context) (has, newest int, err error) {
	if newest, err = newestMigration(); err != nil {
		return 0, 0, err
	}
	has, dirty, err := db.schemaVersion(ctx)
	if err == nil && dirty {
		err = fmt.Errorf("a migration to version %d was cut off", has)
	}
	return has, newest, err
}

// layout is how the tables of this database are to be made, and the engine of the table of versions. What is there decides where a server got its macros later.
func (s side) layout(ctx context.Context) (layout sql.Layout, versions string, err error) {
	if s.engine != nil {
		return sql.Plain, "MergeTree", nil
	}
	var database, events, shard, replica string
	err = s.Row(ctx, `select (select engine from system.databases where name = currentDatabase()),
		(select any(engine) from system.tables
		 where database = currentDatabase() and name in ('client_events', 'conversions', 'published_days') and engine like '%MergeTree')`, nil, &database, &events)
	hasMacros := true
	if err == nil && events == "" {
		err = s.Row(ctx, "select getMacro('shard'), getMacro('replica')", nil, &shard, &replica)
		var told *Error
		if errors.As(err, &told) && told.Code == proto.ErrNoElementsInConfig {
			hasMacros, err = false, nil
		}
	}
	if err != nil {
		return sql.Plain, "", fmt.Errorf("look how ClickHouse keeps tables: %w", err)
	}
	switch {
	case database == "Replicated":
		return sql.ReplicatedDatabase, "ReplicatedMergeTree", nil
	case events == "" && hasMacros, strings.HasPrefix(events, "Replicated"):
		return sql.Replicated, "MergeTree", nil // each replica notes by itself which version it has
	default:
		return sql.Plain, "MergeTree", nil
	}
}

func (s side) migrateUp(ctx context.Context) error {
	layout, versions, err := s.layout(ctx)
	if err != nil {
		return err
	}
	s.target.Layout = layout
	migrations, err := iofs.New(s.target.Migrations(), ".")
	if err != nil {
		return err
	}
	open, err := s.connection(ctx)
	if err != nil {
		return err
	}
	conn := clickhouse.OpenDB(&open.options)
	defer conn.Close()
	target, err := chmigrate.WithInstance(conn, &chmigrate.Config{
		DatabaseName: s.database, MigrationsTableEngine: versions,
	})
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("sql/migrations", migrations, "clickhouse", target)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	// Another process may have migrated, or died at it, since Migrate looked.
	version, dirty, err := target.Version()
	if err != nil {
		return err
	}
	if version < 0 && !dirty {
		newest, err := s.migrateEmpty(ctx, s.target.Migrations())
		if err != nil {
			return err
		}
		return m.Force(newest)
	}
	if dirty {
		previous := version - 1
		if previous < 1 {
			previous = -1 // no version at all
		}
		if err := m.Force(previous); err != nil {
			return err
		}
	}
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return err
	}
	return ctx.Err()
}

// migrateEmpty makes the schema where there is none, without a note after each statement: that takes
// a quarter of the time. One that is cut off begins again, as there is no note of it.
func (db *DB) migrateEmpty(ctx context.Context, migrations fs.FS) (newest int, err error) {
	names, err := fs.Glob(migrations, "*.up.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return 0, err
		}
		if err := db.Exec(ctx, string(text), nil); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return newestMigration()
}

// forgetCutOff drops the copies that a "create or replace table" leaves when it is killed.
func (db *DB) forgetCutOff(ctx context.Context) error {
	var left []struct {
		Name string `ch:"name"`
	}
	err := db.Select(ctx, &left, `select name from system.tables where database = currentDatabase() and startsWith(name, '_tmp_replace_')`, nil)
	for _, table := range left {
		err = errors.Join(err, db.Exec(ctx, "drop table if exists `"+table.Name+"` sync", nil))
	}
	return err
}

// ErrBeforeRelease is what a schema from before the first release gives.
var ErrBeforeRelease = errors.New("the data were made by a tieback from before 0.1.0, which this one can't read: " +
	"start with a fresh data folder (or database) and import the history again")

// schemaVersion is 0 for an empty database. It fails where the tables are spread otherwise than --cluster says.
func (db *DB) schemaVersion(ctx context.Context) (version int, dirty bool, err error) {
	version, dirty, err = db.noted(ctx)
	if err != nil {
		return version, dirty, err
	}
	var there []struct {
		Name   string `ch:"name"`
		Engine string `ch:"engine"`
	}
	query := "select name, engine from system.tables where database = currentDatabase() and name in {names:Array(String)}"
	if err := db.Select(ctx, &there, query, Params{"names": sql.Spread()}); err != nil {
		var told *Error
		if errors.Is(err, ErrNoDatabase) || errors.As(err, &told) && told.Code == proto.ErrUnknownDatabase {
			return version, dirty, nil
		}
		return 0, false, err
	}
	known := false
	for _, table := range there { // also those of a first migration that was cut off, and has noted nothing
		known = known || table.Name == "entries_versions"
		switch {
		case table.Engine == "Distributed" && db.cluster == "":
			return 0, false, errSpread
		case table.Engine != "Distributed" && db.cluster != "" && table.Name != "new_client_events":
			return 0, false, ErrOneServer
		}
	}
	// The numbers of the migrations began again since then, and the tables are all made before the first note of one.
	if !known && (version > 0 || dirty) {
		return 0, false, ErrBeforeRelease
	}
	return version, dirty, nil
}

// errSpread says that --cluster is missing.
var errSpread = errors.New("the tables are spread over a cluster: name it with --cluster")

// noted returns the version that a database notes of itself, 0 where it notes none.
func (db *DB) noted(ctx context.Context) (version int, dirty bool, err error) {
	var exists uint8
	err = db.Row(ctx, "exists table schema_migrations", nil, &exists)
	var told *Error
	if errors.Is(err, ErrNoDatabase) || errors.As(err, &told) && told.Code == proto.ErrUnknownDatabase {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if exists == 0 {
		return 0, false, nil
	}
	var v int64
	var d uint8
	err = db.Row(ctx, "select version, dirty from schema_migrations order by sequence desc limit 1", nil, &v, &d)
	if errors.Is(err, ErrNoRows) {
		return 0, false, nil
	}
	return max(int(v), 0), d != 0, err
}

var migrationNumber = regexp.MustCompile(`^(\d+)_.*\.up\.sql$`)

func newestMigration() (int, error) {
	entries, err := fs.ReadDir(sql.Migrations(), ".")
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, entry := range entries {
		if m := migrationNumber.FindStringSubmatch(entry.Name()); m != nil {
			number, err := strconv.Atoi(m[1])
			if err != nil {
				return 0, err
			}
			newest = max(newest, number)
		}
	}
	return newest, nil
}
