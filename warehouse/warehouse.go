// Package warehouse opens ClickHouse, embedded or a server, and is the only place
// that talks to it. Everything goes through clickhouse-go, whichever it is.
package warehouse

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse/chdb"
)

// DefaultDatabase is the database that the names of docs/tables.md live in.
const DefaultDatabase = "tieback"

// Config says which ClickHouse to open.
type Config struct {
	DataDir       string       // the data folder; the embedded engine and all locks of it live there
	URL           string       // clickhouse://, http:// or https:// of a server; empty means embedded
	EngineCommand []string     // starts the embedded engine; the data folder is appended to it
	Cluster       string       // of the server's system.clusters, over which the rows of visitors are spread; empty for one server
	Database      string       // DefaultDatabase when empty
	Log           *slog.Logger // slog.Default() when nil

	// LockExpiry is after what silence the holder of a server's lock is taken for dead; 30 s when 0, and shorter in tests only.
	LockExpiry time.Duration

	// ShardPatience is for how long a shard may give no answer before a run is given up; 2 minutes when 0, and shorter in tests only.
	ShardPatience time.Duration

	// Patient lets Open return without a server that is away: statements fail until it is there.
	Patient bool
}

// DB is an open ClickHouse.
type DB struct {
	server   clickhouse.Options // how to get there, without settings and database
	engine   *chdb.Client       // nil with a server
	dataDir  string
	database string
	log      *slog.Logger

	lockExpiry time.Duration

	connecting sync.Mutex
	connected  atomic.Pointer[connected]

	cluster       string                // empty for one server
	isNode        bool                  // of a cluster, and not home
	shardPatience time.Duration         // as configured
	shards        atomic.Pointer[[]*DB] // that Shards has found
	others        others
}

// connected is a pool of connections and what it was made with.
type connected struct {
	driver.Conn
	options clickhouse.Options
}

// Open connects to ClickHouse, and starts the embedded engine where one is needed. It makes
// nothing in a server's ClickHouse: Migrate does.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Database == "" {
		cfg.Database = DefaultDatabase
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := usableFolder(cfg.DataDir); err != nil {
		return nil, err
	}
	db := &DB{dataDir: cfg.DataDir, database: cfg.Database, log: cfg.Log, lockExpiry: cmp.Or(cfg.LockExpiry, lockExpiry), cluster: cfg.Cluster, shardPatience: cfg.ShardPatience}
	if cfg.Cluster != "" && cfg.URL == "" {
		return nil, errors.New("--cluster needs --clickhouse, the address of one of its nodes: the embedded engine is one server")
	}
	err := db.reach(ctx, cfg)
	if err == nil && db.engine != nil {
		err = db.createDatabase(ctx) // the folder is ours
	}
	if err == nil {
		_, err = db.connection(ctx)
	}
	if err != nil && !errors.Is(err, ErrNoDatabase) && !(cfg.Patient && errors.Is(err, ErrAway)) {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// usableFolder makes sure that dir exists and can be written to.
func usableFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w; choose another one with --data", err)
	}
	// What root makes there, the folder's own user could not open.
	if owner, known := human.Owner(dir); known && owner != "root" && os.Geteuid() == 0 {
		return fmt.Errorf("the data folder %s belongs to the user %s: run this as that user, as with sudo -u %s", dir, owner, owner)
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("the data folder %s is not writable: %w; mend its rights or choose another one with --data", dir, human.Permission(err))
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// Analysts returns a handler that is ClickHouse's HTTP interface for analysts, over the published
// tables of the embedded engine; who asks needs the password, none if it is empty. It is nil with
// a server, which has its own.
func (db *DB) Analysts(password string) http.Handler {
	if db.engine == nil {
		return nil
	}
	return db.engine.Analysts(password)
}

// Database is the name of the database.
func (db *DB) Database() string { return db.database }

// Close closes the connections, and ends the embedded engine if nobody else uses it.
func (db *DB) Close() error {
	err := db.others.close()
	if open := db.connected.Load(); open != nil {
		err = errors.Join(err, open.Close())
	}
	if db.engine != nil {
		err = errors.Join(err, db.engine.Close())
	}
	return err
}

// statement makes a context that of a statement. A Date is read as midnight in UTC: without,
// it is midnight in the server's time zone, which east of Greenwich lies in the UTC day before.
// And the driver sees no deadline, of which it would make a setting that a server may forbid;
// the statement is ended all the same.
func statement(ctx context.Context) context.Context {
	return noDeadline{clickhouse.Context(ctx, clickhouse.WithUserLocation(time.UTC), clickhouse.WithQueryID(workOf(ctx).holder+uuid.NewString()))}
}

type noDeadline struct{ context.Context }

func (noDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// Bounded lets each statement under ctx take so many bytes of memory, and makes it sort and
// group on disk beyond half of that. 0 leaves all to the server's own limits.
func Bounded(ctx context.Context, bytes uint64) context.Context {
	if bytes == 0 {
		return ctx
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"max_memory_usage": bytes, "max_bytes_before_external_group_by": bytes / 2, "max_bytes_before_external_sort": bytes / 2,
	}))
}

// Exec runs a statement that has no result.
func (db *DB) Exec(ctx context.Context, sql string, params Params) error {
	conn, err := db.connection(ctx)
	if err != nil {
		return err
	}
	return explain(conn.Exec(statement(ctx), sql, params.args()...))
}

// Select runs a query and scans its rows into dest, a pointer to a slice of
// structs whose `ch` tags name the columns.
func (db *DB) Select(ctx context.Context, dest any, sql string, params Params) error {
	conn, err := db.connection(ctx)
	if err != nil {
		return err
	}
	return explain(conn.Select(statement(ctx), dest, sql, params.args()...))
}

// Row runs a query of one row and scans it; sql.ErrNoRows when there is none.
func (db *DB) Row(ctx context.Context, sql string, params Params, dest ...any) error {
	conn, err := db.connection(ctx)
	if err != nil {
		return err
	}
	return explain(conn.QueryRow(statement(ctx), sql, params.args()...).Scan(dest...))
}

// Each runs a query and calls row for each of its rows, with what scans it: for results that don't fit in memory.
func (db *DB) Each(ctx context.Context, sql string, params Params, row func(scan func(dest ...any) error) error) error {
	conn, err := db.connection(ctx)
	if err != nil {
		return err
	}
	result, err := conn.Query(statement(ctx), sql, params.args()...)
	if err != nil {
		return explain(err)
	}
	defer result.Close()
	for result.Next() {
		if err := row(result.Scan); err != nil {
			return err
		}
	}
	return explain(result.Err())
}

// Table runs a query of unknown columns and returns their names and every row as
// text. It is for few rows: checks and the operator's eyes.
func (db *DB) Table(ctx context.Context, sql string, params Params) (columns []string, rows [][]string, err error) {
	conn, err := db.connection(ctx)
	if err != nil {
		return nil, nil, err
	}
	result, err := conn.Query(statement(ctx), sql, params.args()...)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer result.Close()
	columns = result.Columns()
	for result.Next() {
		cells := make([]any, len(columns))
		for i, column := range result.ColumnTypes() {
			cells[i] = newScanTarget(column)
		}
		if err := result.Scan(cells...); err != nil {
			return nil, nil, fmt.Errorf("read a row: %w", err)
		}
		rows = append(rows, texts(result.ColumnTypes(), cells))
	}
	return columns, rows, explain(result.Err())
}

// ErrNoRows is what Row returns when the query has no row.
var ErrNoRows = sql.ErrNoRows

// explain takes the transport's wrapping off an exception of ClickHouse, whose own
// text says what is wrong.
func explain(err error) error {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		if proto.Error(exception.Code) == proto.ErrAllConnectionTriesFailed {
			node := silentNode.FindStringSubmatch(exception.Message)
			return &Error{Code: proto.ErrAllConnectionTriesFailed, Message: "a node of the cluster does not answer: " + strings.Join(node[min(1, len(node)):], "")}
		}
		return &Error{Code: proto.Error(exception.Code), Message: expected.ReplaceAllString(exception.Message, "$1")}
	}
	web, network := (*url.Error)(nil), (*net.OpError)(nil)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &web): // its URL is full of settings
		return fmt.Errorf("%w: %w", ErrAway, web.Err)
	case errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

// silentNode finds the address of a node that ClickHouse did not reach.
var silentNode = regexp.MustCompile(`\(([^()\s]+:\d+)(?:, [^()]*)?\)\. \(`)

// expected finds the list of all that could stand in the place of a fault of syntax.
var expected = regexp.MustCompile(`(?s) Expected one of: .*?(\.? \(SYNTAX_ERROR\)|$)`)

// Error is an exception of ClickHouse.
type Error struct {
	Code    proto.Error // ClickHouse's, as proto.ErrUnknownTable
	Message string      // ClickHouse's; over HTTP it ends with the code's name
}

func (e *Error) Error() string {
	if name := "(" + e.Code.String() + ")"; !strings.Contains(e.Message, name) {
		return fmt.Sprintf("ClickHouse: %s %s (code %d)", e.Message, name, int(e.Code))
	}
	return fmt.Sprintf("ClickHouse: %s (code %d)", e.Message, int(e.Code))
}
