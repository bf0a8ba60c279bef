// Package warehouse opens ClickHouse, embedded or a server, and is the only place
// that talks to it. Everything goes through clickhouse-go, whichever it is.
package warehouse

import (
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
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse/chdb"
)

// DefaultDatabase is the database that the spec's table names live in.
const DefaultDatabase = "tieback"

// Config says which ClickHouse to open.
type Config struct {
	DataDir       string       // the data folder; the embedded engine and all locks live there
	URL           string       // clickhouse://, http:// or https:// of a server; empty means embedded
	EngineCommand []string     // starts the embedded engine; the data folder is appended to it
	Database      string       // DefaultDatabase when empty
	Log           *slog.Logger // slog.Default() when nil
}

// DB is an open ClickHouse.
type DB struct {
	conn     driver.Conn
	options  *clickhouse.Options
	engine   *chdb.Client // nil with a server
	dataDir  string
	database string
	log      *slog.Logger
}

// Open connects to ClickHouse, starts the embedded engine where one is needed, and
// creates the database. It does not migrate.
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
	db := &DB{dataDir: cfg.DataDir, database: cfg.Database, log: cfg.Log}
	var err error
	if cfg.URL == "" {
		err = db.openEmbedded(ctx, cfg)
	} else {
		err = db.openServer(cfg.URL)
	}
	if err == nil {
		err = db.connect(ctx)
	}
	if err != nil {
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

func (db *DB) openEmbedded(ctx context.Context, cfg Config) error {
	engine, err := chdb.Open(ctx, cfg.DataDir, cfg.EngineCommand, cfg.Log)
	if err != nil {
		return err
	}
	db.engine = engine
	e, err := chdb.ReadEndpoint(cfg.DataDir)
	if err != nil {
		return err
	}
	db.options = &clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{e.Address}, // one that is started again may have another: Dial knows
		Auth:        clickhouse.Auth{Username: e.User, Password: e.Password},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) { return engine.Dial(ctx) },
	}
	return nil
}

func (db *DB) openServer(address string) error {
	options, err := clickhouse.ParseDSN(address)
	if err != nil {
		return fmt.Errorf("--clickhouse %s: %w; give clickhouse://USER:PASSWORD@HOST:9000 or http://HOST:8123", redacted(address), err)
	}
	db.options = options
	return nil
}

// CheckURL says what is wrong with the address of a server, without connecting.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("--clickhouse %s is not an address; give clickhouse://USER:PASSWORD@HOST:9000 or http://HOST:8123", redacted(address))
	case u.Scheme != "clickhouse" && u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--clickhouse %s: the scheme must be clickhouse, http or https", redacted(address))
	case u.Path != "" && u.Path != "/" && u.Path != "/default" && u.Path != "/"+DefaultDatabase:
		return fmt.Errorf("--clickhouse %s: the database is always %s; leave %s away", redacted(address), DefaultDatabase, u.Path)
	}
	return nil
}

func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "(not a URL)"
}

// connect opens the pool. Our own batches are insert-or-fail: async_insert would
// answer before the rows are in.
func (db *DB) connect(ctx context.Context) error {
	options := db.options
	options.MaxOpenConns = 16
	options.MaxIdleConns = 8
	options.DialTimeout = 10 * time.Second
	options.ReadTimeout = 24 * time.Hour // statements are bounded by their context
	options.ConnMaxLifetime = time.Hour
	if options.Settings == nil {
		options.Settings = clickhouse.Settings{}
	}
	options.Settings["async_insert"] = 0
	options.Settings["max_partitions_per_insert_block"] = 0 // an import may span years
	options.Settings["session_timezone"] = "UTC"            // today() and toDate() must not follow the host's time zone
	options.TransportFunc = func(next *http.Transport) (http.RoundTripper, error) { return killing{next}, nil }
	options.Auth.Database = "default"
	if err := db.createDatabase(ctx); err != nil {
		return err
	}
	options.Auth.Database = db.database
	conn, err := clickhouse.Open(options)
	if err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	db.conn = conn
	return nil
}

func (db *DB) createDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := clickhouse.Open(db.options)
	if err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "create database if not exists `"+db.database+"`"); err != nil {
		if db.engine == nil {
			return fmt.Errorf("ClickHouse at %s does not answer as it should: %w; check --clickhouse and that the server runs", strings.Join(db.options.Addr, ", "), err)
		}
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
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

// Close closes the connections, and ends the embedded engine if nobody else uses it.
func (db *DB) Close() error {
	var err error
	if db.conn != nil {
		err = db.conn.Close()
	}
	if db.engine != nil {
		err = errors.Join(err, db.engine.Close())
	}
	return err
}

// inUTC makes clickhouse-go read a Date as midnight in UTC. Without it a Date is midnight in the
// server's time zone, which east of Greenwich lies in the UTC day before.
func inUTC(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithUserLocation(time.UTC))
}

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
	return explain(db.conn.Exec(inUTC(ctx), sql, params.args()...))
}

// Select runs a query and scans its rows into dest, a pointer to a slice of
// structs whose `ch` tags name the columns.
func (db *DB) Select(ctx context.Context, dest any, sql string, params Params) error {
	return explain(db.conn.Select(inUTC(ctx), dest, sql, params.args()...))
}

// Row runs a query of one row and scans it; sql.ErrNoRows when there is none.
func (db *DB) Row(ctx context.Context, sql string, params Params, dest ...any) error {
	return explain(db.conn.QueryRow(inUTC(ctx), sql, params.args()...).Scan(dest...))
}

// Table runs a query of unknown columns and returns their names and every row as
// text. It is for few rows: checks and the operator's eyes.
func (db *DB) Table(ctx context.Context, sql string, params Params) (columns []string, rows [][]string, err error) {
	result, err := db.conn.Query(inUTC(ctx), sql, params.args()...)
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
		rows = append(rows, texts(cells))
	}
	return columns, rows, explain(result.Err())
}

// formatClause finds a FORMAT at the end of a statement.
var formatClause = regexp.MustCompile(`(?is)\sformat\s+(\w+)\s*;?\s*$`)

// Format runs any statement and returns its result in one of ClickHouse's formats,
// unless the statement names one itself. It needs the HTTP interface.
func (db *DB) Format(ctx context.Context, format, sql string) (io.ReadCloser, error) {
	// clickhouse-go takes the format as an argument only.
	if m := formatClause.FindStringSubmatchIndex(sql); m != nil {
		format, sql = sql[m[2]:m[3]], sql[:m[0]]
	}
	result, err := db.conn.QueryFormat(inUTC(ctx), format, sql)
	if errors.Is(err, clickhouse.ErrFormatNativeUnsupported) {
		return nil, errors.New("results in a format need ClickHouse's HTTP interface: give --clickhouse http://HOST:8123 for this command")
	}
	return result, explain(err)
}

// ErrNoRows is what Row returns when the query has no row.
var ErrNoRows = sql.ErrNoRows

// explain takes the transport's wrapping off an exception of ClickHouse, whose own
// text says what is wrong.
func explain(err error) error {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return &Error{Code: proto.Error(exception.Code), Message: expected.ReplaceAllString(exception.Message, "$1")}
	}
	return err
}

// expected finds the list of all that could stand in the place of a fault of syntax.
var expected = regexp.MustCompile(` Expected one of: .*?\.( \(SYNTAX_ERROR\)|$)`)

// Error is an exception of ClickHouse.
type Error struct {
	Code    proto.Error // ClickHouse's, as proto.ErrUnknownTable
	Message string      // which ends with the code's name
}

func (e *Error) Error() string {
	return fmt.Sprintf("ClickHouse: %s (code %d)", e.Message, int(e.Code))
}

// Lock takes the lock called name in the data folder, for work that only one
// process may do at a time. It waits for the holder; waiting is called once if
// there is one.
func (db *DB) Lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(db.dataDir, name+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the %s lock: %w", name, human.Permission(err))
	}
	for first := true; ; first = false {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("take the %s lock: %w", name, err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the %s lock: %w", name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
