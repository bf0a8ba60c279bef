package warehouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tieback/tieback/warehouse/chdb"
)

// ErrAway says that a ClickHouse server does not answer now.
var ErrAway = errors.New("ClickHouse does not answer")

// urlForms are what --clickhouse takes.
const urlForms = "give http://USER:PASSWORD@HOST:8123, https://…:8443, clickhouse://…:9000 or clickhouse://…:9440?secure=true"

// CheckURL says what is wrong with the address of a server, without connecting.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("--clickhouse %s is not an address; %s", redacted(address), urlForms)
	case u.Scheme != "clickhouse" && u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--clickhouse %s: the scheme must be clickhouse, http or https", redacted(address))
	case u.Path != "" && u.Path != "/" && u.Path != "/default" && u.Path != "/"+DefaultDatabase:
		return fmt.Errorf("--clickhouse %s: the database is always %s; leave %s away", redacted(address), DefaultDatabase, u.Path)
	}
	if _, err := parseURL(address); err != nil {
		return fmt.Errorf("--clickhouse %s: %w; %s", redacted(address), err, urlForms)
	}
	return nil
}

// WithPassword puts a password into the address of a server that has none.
func WithPassword(address, password string) string {
	u, err := url.Parse(address)
	if password == "" || err != nil || u.Host == "" || u.Query().Has("password") {
		return address
	}
	if _, given := u.User.Password(); given {
		return address
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// parseURL reads the address of a server. https says that the connection is secure, so it need
// not be said again.
func parseURL(address string) (*clickhouse.Options, error) {
	if u, err := url.Parse(address); err == nil && u.Scheme == "https" && !u.Query().Has("secure") {
		query := u.Query()
		query.Set("secure", "true")
		u.RawQuery = query.Encode()
		address = u.String()
	}
	return clickhouse.ParseDSN(address)
}

func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" { // who forgets the scheme may have given a password all the same
		if _, rest, ok := strings.Cut(address, "@"); ok {
			return "…@" + rest
		}
		return address
	}
	if query := u.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}

// reach finds out how to get to ClickHouse, and starts the embedded engine.
func (db *DB) reach(ctx context.Context, cfg Config) error {
	if cfg.URL != "" {
		options, err := parseURL(cfg.URL)
		if err != nil {
			return fmt.Errorf("--clickhouse %s: %w; %s", redacted(cfg.URL), err, urlForms)
		}
		db.server = *options
		db.server.DialContext = dialer(options)
		return nil
	}
	engine, err := chdb.Open(ctx, cfg.DataDir, cfg.EngineCommand, cfg.Log)
	if err != nil {
		return err
	}
	db.engine = engine
	e, err := chdb.ReadEndpoint(cfg.DataDir)
	if err != nil {
		return err
	}
	db.server = clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{e.Address}, // one that is started again may have another: Dial knows
		Auth:        clickhouse.Auth{Username: e.User, Password: e.Password},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) { return engine.Dial(ctx) },
	}
	return nil
}

// dialPatience is how long a server may take to be reached.
const dialPatience = 10 * time.Second

// dialer connects to a server; waiting for one of the pool's connections may take longer.
func dialer(options *clickhouse.Options) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		plain := &net.Dialer{Timeout: dialPatience}
		if options.Protocol == clickhouse.Native && options.TLS != nil {
			return (&tls.Dialer{NetDialer: plain, Config: options.TLS}).DialContext(ctx, "tcp", address)
		}
		return plain.DialContext(ctx, "tcp", address)
	}
}

// mostConnections bounds the statements under way at once.
const mostConnections = 16

// connection returns the pool of connections, which it makes the first time that it is asked.
func (db *DB) connection(ctx context.Context) (*connected, error) {
	if ended := workOf(ctx).ended; ended != nil && ended() {
		return nil, ErrLockLost
	}
	if open := db.connected.Load(); open != nil {
		return open, nil
	}
	db.connecting.Lock()
	defer db.connecting.Unlock()
	if open := db.connected.Load(); open != nil {
		return open, nil
	}
	options, exists, err := db.agree(ctx)
	if err != nil {
		return nil, db.unreachable(err)
	}
	if !exists {
		return nil, fmt.Errorf("%w at ClickHouse at %s: %s", ErrNoDatabase, db.Where(), db.database)
	}
	options.Auth.Database = db.database
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, db.unreachable(err)
	}
	open := &connected{conn, *options}
	db.connected.Store(open)
	return open, nil
}

// CheckProfile asks a server again what its user's profile says, which may have changed since the
// connection was made, and goes by it from now on.
func (db *DB) CheckProfile(ctx context.Context) error {
	if db.engine != nil {
		return nil // its profile is ours
	}
	before, err := db.connection(ctx)
	if err != nil {
		return err
	}
	options, _, err := db.agree(ctx)
	if err != nil {
		return db.unreachable(err)
	}
	if maps.Equal(options.Settings, before.options.Settings) {
		return nil
	}
	options.Auth.Database = db.database
	conn, err := clickhouse.Open(options)
	if err != nil {
		return db.unreachable(err)
	}
	db.log.Info("the profile of ClickHouse's user has changed: what Tieback relies on is set back for each statement")
	db.connected.Store(&connected{conn, *options})
	time.AfterFunc(time.Minute, func() { _ = before.Close() }) // statements are under way on it
	return nil
}

// ErrNoDatabase says that a server has no database of Tieback's yet.
var ErrNoDatabase = errors.New("there is no such database")

// agree asks the server what its profile says, and returns how to speak with it, and whether the
// database is there.
func (db *DB) agree(ctx context.Context) (settled *clickhouse.Options, exists bool, err error) {
	options := db.server
	options.MaxOpenConns, options.MaxIdleConns = mostConnections, mostConnections/2
	options.DialTimeout = dialPatience
	options.ReadTimeout = 24 * time.Hour // statements are bounded by their context
	options.ConnMaxLifetime = time.Hour
	options.TransportFunc = func(next *http.Transport) (http.RoundTripper, error) { return killing{next}, nil }
	options.Auth.Database = ""
	options.Settings = guard
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	probe, err := clickhouse.Open(&options)
	if err != nil {
		return nil, false, err
	}
	defer probe.Close()
	server, queriesAtOnce, err := readProfile(noDeadline{ctx}, probe)
	if err != nil {
		if isConstraint(err) {
			err = fmt.Errorf("%w: %w", errFixedSettings, explain(err))
		}
		return nil, false, err
	}
	settings, err := overrides(server)
	if err != nil {
		return nil, false, err
	}
	var found uint8
	if err := probe.QueryRow(noDeadline{ctx}, "exists database `"+db.database+"`").Scan(&found); err != nil {
		return nil, false, err
	}
	for name, value := range db.server.Settings { // of the URL
		if _, pinned := settings[name]; !pinned {
			settings[name] = value
		}
	}
	if db.cluster != "" {
		maps.Copy(settings, onCluster)
	}
	options.Settings = settings
	if queriesAtOnce > 0 && queriesAtOnce <= mostConnections {
		options.MaxOpenConns = max(1, queriesAtOnce-1) // one for what ends the others
		options.DialTimeout = time.Hour                // how long one may wait for its turn
	}
	return &options, found == 1, nil
}

// Where names the server for people; empty for the embedded engine.
func (db *DB) Where() string {
	if db.engine != nil {
		return ""
	}
	return strings.Join(db.server.Addr, ", ")
}

// unreachable says in words why there is no connection.
func (db *DB) unreachable(err error) error {
	if db.engine != nil {
		return fmt.Errorf("connect to the embedded engine: %w", explain(err))
	}
	where := "ClickHouse at " + db.Where()
	var exception *clickhouse.Exception
	switch {
	case errors.Is(err, errFixedSettings):
		return fmt.Errorf("%s: %w", where, err)
	case errors.As(err, &exception):
		if proto.Error(exception.Code) == proto.ErrAuthenticationFailed {
			user := db.server.Auth.Username
			if user == "" {
				user = "default"
			}
			return fmt.Errorf("%s refuses the user %s: the name or the password in --clickhouse is wrong", where, user)
		}
		return fmt.Errorf("%s: %w", where, explain(err))
	}
	check := "check the address in --clickhouse, and that the server runs"
	if db.isNode {
		check = "check that it runs, and its address in remote_servers at home"
	}
	return &awayError{where: where, err: innermost(err), check: check}
}

// awayError is ErrAway, of a server.
type awayError struct {
	where string
	err   error
	check string // what to do
}

func (e *awayError) Error() string {
	return fmt.Sprintf("%s does not answer: %v; %s", e.where, e.err, e.check)
}
func (e *awayError) Unwrap() []error { return []error{ErrAway, e.err} }

// innermost takes off what the transport wraps around an error: URLs full of settings.
func innermost(err error) error {
	var web *url.Error
	if errors.As(err, &web) {
		return web.Err
	}
	return err
}

// createDatabase makes the database where there is none: the right to do so is not asked for where
// it is there.
func (db *DB) createDatabase(ctx context.Context) error {
	if db.connected.Load() != nil && db.cluster == "" {
		return nil // of a cluster's node it may be gone, as the node may be another machine since
	}
	options, exists, err := db.agree(ctx)
	if err != nil {
		return db.unreachable(err)
	}
	if exists {
		return nil
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return db.unreachable(err)
	}
	defer conn.Close()
	if err := conn.Exec(statement(ctx), "create database if not exists `"+db.database+"`"); err != nil {
		return fmt.Errorf("create the database %s: %w", db.database, explain(err))
	}
	return nil
}
