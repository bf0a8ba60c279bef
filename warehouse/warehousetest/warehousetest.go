// Package warehousetest gives tests a real ClickHouse: one engine a test binary, one
// database a test.
package warehousetest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
	"github.com/tieback/tieback/warehouse/chdb"
)

// engineArg makes a test binary host the engine instead of running its tests.
const engineArg = "tieback-test-engine"

var dataDir string

// Main runs a package's tests with an engine that lives as long as they do. Call it
// from TestMain.
func Main(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == engineArg {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := chdb.Serve(ctx, os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tieback-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	dataDir = dir
	// One client keeps the engine alive between tests; without the library every
	// test says so itself.
	client, err := chdb.Open(context.Background(), dir, Command(), slog.Default())
	if err == nil {
		defer client.Close()
	}
	return m.Run()
}

// Command starts an engine from the test binary.
func Command() []string { return []string{os.Args[0], engineArg} }

// Open returns an empty database with the schema in place, gone after the test
// unless it failed.
func Open(t testing.TB) *warehouse.DB {
	t.Helper()
	name := databaseName(t.Name())
	db, err := warehouse.Open(t.Context(), warehouse.Config{
		DataDir: dataDir, EngineCommand: Command(), Database: name,
	})
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = db.Exec(context.Background(), "drop database `"+name+"`", nil)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	if err := create(t.Context(), db); err != nil {
		t.Fatalf("create the schema: %v", err)
	}
	return db
}

// create runs the migrations without the bookkeeping of Migrate, which takes ten
// times as long; that is tested by itself and with the whole program.
func create(ctx context.Context, db *warehouse.DB) error {
	names, err := fs.Glob(sql.Migrations(), "*.up.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := fs.ReadFile(sql.Migrations(), name)
		if err != nil {
			return err
		}
		if err := db.Exec(ctx, string(text), nil); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func databaseName(test string) string {
	return "test_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, test)
}
