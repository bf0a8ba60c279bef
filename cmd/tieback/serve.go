package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jonboulle/clockwork"

	"github.com/tieback/tieback/admin"
	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/warehouse"
)

type serveCmd struct {
	Listen    string        `default:":8080" env:"TIEBACK_LISTEN" help:"Address to listen on."`
	MaxFuture time.Duration `default:"5s" env:"TIEBACK_MAX_FUTURE" help:"How far after its receipt a conversion may claim to have happened."`
	MaxAge    time.Duration `default:"168h" env:"TIEBACK_MAX_AGE" help:"How far before its receipt a conversion may have happened."`

	SQLListen string `name:"sql-listen" env:"TIEBACK_SQL_LISTEN" placeholder:"ADDRESS" help:"Let Grafana, curl and drivers read the embedded engine's published tables over ClickHouse's HTTP interface here, as :8123 (this machine only) or HOST:8123, which needs --analyst-password."`

	AnalystPassword string `name:"analyst-password" env:"TIEBACK_ANALYST_PASSWORD" placeholder:"PASSWORD" help:"Of the user analyst, for --sql-listen. Better in the environment, where ps does not show it."`

	AdminToken string `name:"admin-token" env:"TIEBACK_ADMIN_TOKEN" placeholder:"TOKEN" help:"Opens the admin page and API under /admin/; 16 bytes at least. Off if not given. Better in the environment, where ps does not show it."`

	NoteEvery time.Duration `hidden:"" default:"1m" help:"How often a row of service_minutes is written."`

	TLSCert string `name:"tls-cert" env:"TIEBACK_TLS_CERT" placeholder:"FILE" help:"Certificate, PEM; with --tls-key it makes the service speak HTTPS. Read again when it changes."`
	TLSKey  string `name:"tls-key" env:"TIEBACK_TLS_KEY" placeholder:"FILE" help:"Its key, PEM."`

	RateToken float64  `default:"0" env:"TIEBACK_RATE_TOKEN" help:"Requests a second that a token may make; 0 for any."`
	Proxies   []string `name:"trusted-proxy" env:"TIEBACK_TRUSTED_PROXY" placeholder:"ADDRESS,..." help:"Proxies before the service, as 10.0.0.0/8 or 127.0.0.1: the address of a request they pass on is the one in X-Forwarded-For."`

	RateAddress float64 `default:"0" env:"TIEBACK_RATE_ADDRESS" help:"Requests a second that an address may make; 0 for any."`
}

// check returns everything that is wrong with the settings.
func (s *serveCmd) check(clickhouseURL string) (faults []error) {
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.MaxFuture <= 0 {
		wrong("--max-future is %s, it must be positive", s.MaxFuture)
	}
	if s.MaxAge <= 0 {
		wrong("--max-age is %s, it must be positive", s.MaxAge)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		wrong("--tls-cert and --tls-key go together")
	}
	if s.RateToken < 0 || s.RateAddress < 0 {
		wrong("--rate-token and --rate-address must not be negative")
	}
	if _, err := s.proxies(); err != nil {
		wrong("--trusted-proxy: %v; give addresses or ranges, as 127.0.0.1,10.0.0.0/8", err)
	}
	if s.AdminToken != "" && len(s.AdminToken) < admin.MinTokenBytes {
		wrong("--admin-token has %d bytes, at least %d are needed; `openssl rand -hex 24` makes one", len(s.AdminToken), admin.MinTokenBytes)
	}
	if err := checkAddress(s.Listen); err != nil {
		wrong("--listen %s: %v; give HOST:PORT or :PORT", s.Listen, err)
	}
	if s.SQLListen == "" {
		return faults
	}
	if err := checkAddress(s.SQLListen); err != nil {
		wrong("--sql-listen %s: %v; give HOST:PORT or :PORT", s.SQLListen, err)
	}
	if s.AnalystPassword == "" && !isLoopback(s.SQLListen) {
		wrong("--sql-listen %s is open to other machines: set a password in TIEBACK_ANALYST_PASSWORD, or listen on this machine only, as --sql-listen :8123", s.SQLListen)
	}
	if clickhouseURL != "" {
		wrong("--sql-listen is a port of the embedded engine; the server that --clickhouse names has its own")
	}
	return faults
}

// proxies are those of --trusted-proxy.
func (s *serveCmd) proxies() (proxies []netip.Prefix, err error) {
	for _, text := range s.Proxies {
		proxy, err := ingest.ParseProxy(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, proxy)
	}
	return proxies, nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err
}

// gcPercent lets the service's small heap grow a few times over between collections:
// it lives off garbage, and some 50 MB more save a fifth of its processor time.
const gcPercent = 400

func (s *serveCmd) Run(ctx context.Context, p *program) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	srv := &service{program: p, settings: s, metrics: ingest.NewMetrics()}
	if err := srv.start(ctx); err != nil {
		return errors.Join(err, srv.close())
	}
	p.log.Info("tieback listens", "address", srv.listener.Addr().String(), "data", p.dataDir)
	select {
	case <-ctx.Done():
		p.log.Info("stopping")
		return srv.close()
	case err := <-srv.failed:
		return errors.Join(err, srv.close())
	}
}

// listen takes the port.
func (s *service) listen() (err error) {
	if s.listener, err = net.Listen("tcp", s.settings.Listen); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listen on %s: another program has the port; stop it, or choose another one with --listen", s.settings.Listen)
		}
		return fmt.Errorf("listen on %s: %w; choose an address of this machine with --listen", s.settings.Listen, err)
	}
	proxies, err := s.settings.proxies()
	if err != nil {
		return err
	}
	files := fileLimit()
	if files < fewestFiles {
		s.log.Warn("few files may be open: the engine may fail to read tables; raise it with ulimit -n, or LimitNOFILE= of systemd", "limit", files, "advised", leastFiles)
	}
	limits := connectionLimits(files)
	limits.Exempt = proxies
	s.listener = ingest.Limit(s.listener, limits, s.metrics, s.log)
	if s.settings.TLSCert == "" {
		return nil
	}
	certificate, err := ingest.LoadCertificate(s.settings.TLSCert, s.settings.TLSKey, s.log)
	if err != nil {
		return err
	}
	s.listener = tls.NewListener(s.listener, certificate.Config())
	return nil
}

const (
	// reservedFiles are kept for the spool, the engine's connections and the program itself:
	// clients must not take the files that accepting an event needs.
	reservedFiles = 150
	// mostConnections bounds the memory of the connections, 20 kB each.
	mostConnections = 20_000
)

// fewestFiles is what the engine and the spool get along with, without many clients.
const fewestFiles = 512

// fileLimit is how many files this process may have open.
func fileLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Cur
}

// connectionLimits let all clients together have what files can be spared, and a single
// address half of that.
func connectionLimits(files uint64) ingest.ConnectionLimits {
	total := int(min(files, mostConnections+reservedFiles)) - reservedFiles
	if total < reservedFiles {
		total = max(8, int(min(files, mostConnections))/4)
	}
	return ingest.ConnectionLimits{Total: total, PerAddress: max(8, total/2)}
}

// spoolDir is the folder of the spool in a data folder.
func spoolDir(dataDir string) string { return filepath.Join(dataDir, "spool") }

// service is a running `tieback serve`. start and close tell the order of its parts: what
// accepts starts last and stops first.
type service struct {
	*program
	settings *serveCmd

	listener  net.Listener
	db        *warehouse.DB
	live      *catalog.Live
	stale     atomic.Bool // the last read of the catalog failed
	gone      atomic.Bool // it has found an older catalog than before
	spool     *spool.Spool
	metrics   *ingest.Metrics
	writer    *ingest.Writer
	admin     *admin.Admin // nil unless asked for
	server    *ingest.Server
	scheduler *jobs.Scheduler
	sql       *sqlPort // nil unless asked for

	background sync.WaitGroup // Follow and the writer
	cancel     context.CancelFunc
	failed     chan error // what ends the service by itself
}

// catalogInterval is how often a running service looks for changes of the catalog:
// a revoked token is refused within 1 s.
const catalogInterval = 300 * time.Millisecond

func (s *service) start(ctx context.Context) error {
	s.failed = make(chan error, 3)
	var err error
	if err = s.listen(); err != nil {
		return err
	}
	away, err := s.openClickHouse(ctx)
	if err != nil {
		return err
	}
	if s.spool, err = openSpool(ctx, spoolDir(s.dataDir), s.log); err != nil {
		if errors.Is(err, spool.ErrInUse) {
			return fmt.Errorf("another `tieback serve` runs on the data folder %s: stop it, or choose another folder with --data", s.dataDir)
		}
		return err
	}
	mount, err := s.openAdmin()
	if err != nil {
		return err
	}
	proxies, err := s.settings.proxies()
	if err != nil {
		return err
	}
	s.server = ingest.NewServer(ingest.Config{
		Catalog: s.live, Spool: s.spool, Now: s.now, Log: s.log, Ready: s.ready,
		Limits:  ingest.Limits{MaxFuture: s.settings.MaxFuture, MaxAge: s.settings.MaxAge},
		Rates:   ingest.RateLimits{PerToken: s.settings.RateToken, PerAddress: s.settings.RateAddress},
		Proxies: proxies,
		Explain: s.explain, Results: s.results, Mount: mount, Metrics: s.metrics,
	})
	s.writer = ingest.NewWriter(s.spool, s.db, ingest.NewDeadLetters(s.dataDir), s.metrics, s.log)

	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	runner := s.runner(s.db)
	if s.scheduler, err = jobs.NewScheduler(runner, s.spool.WaitDrained, clockwork.NewRealClock(), s.log); err != nil {
		return err
	}
	s.background.Go(func() {
		if away && !s.awaitClickHouse(background) {
			return
		}
		s.background.Go(func() { s.live.Follow(background, catalogInterval, s.catalogFailed) })
		s.background.Go(func() { s.writer.Run(background) })
		s.background.Go(func() { s.noteMinutes(background, s.settings.NoteEvery) })
		s.scheduler.Start()
	})
	if s.settings.SQLListen != "" {
		if s.sql, err = s.openSQLPort(s.settings.SQLListen, s.settings.AnalystPassword); err != nil {
			return err
		}
	}
	go func() {
		if err := s.server.Serve(s.listener); err != nil {
			s.failed <- fmt.Errorf("serve HTTP: %w", err)
		}
	}()
	return nil
}

// openClickHouse opens ClickHouse and reads the catalog. A server that is away does not keep the
// service from accepting what the catalog of the last time allows; without one it is waited for.
func (s *service) openClickHouse(ctx context.Context) (away bool, err error) {
	if err := s.restoredWhole(); err != nil {
		return false, err
	}
	if s.db, err = s.openUnmigrated(ctx, true); err != nil {
		return false, err
	}
	store, kept := catalog.NewStore(s.db, s.now), ""
	if s.clickhouseURL != "" {
		kept = filepath.Join(s.dataDir, "catalog.json")
	}
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		if _, _, err = s.db.Migrate(ctx); err == nil {
			s.live, err = catalog.NewLive(ctx, store, kept)
		}
		if errors.Is(err, catalog.ErrCatalogGone) {
			s.log.Error("what is known still holds; delete the file and start again if that is meant", "err", err, "file", kept)
			s.gone.Store(true)
			s.live, err = catalog.KeptLive(store, kept)
			return false, err
		}
		if !errors.Is(err, warehouse.ErrAway) {
			return false, err
		}
		if s.live, err = catalog.KeptLive(store, kept); err == nil {
			s.log.Warn("ClickHouse does not answer: events are accepted as the catalog of the last time allows, and wait in the spool", "clickhouse", s.db.Where())
			s.stale.Store(true)
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		s.log.Warn("ClickHouse does not answer, and has not before: nothing can be accepted until it does", "clickhouse", s.db.Where(), "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// longestWait is the longest pause between two tries to reach ClickHouse.
const longestWait = 10 * time.Second

// awaitClickHouse waits until ClickHouse is there, and brings its schema up to date; false when ctx
// has ended before.
func (s *service) awaitClickHouse(ctx context.Context) bool {
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		_, _, err := s.db.Migrate(ctx)
		if err == nil {
			s.log.Info("ClickHouse answers")
			return true
		}
		s.log.Warn("ClickHouse is waited for", "err", err, "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// openSpool waits while a command drains the spool, but not for another service.
func openSpool(ctx context.Context, dir string, log *slog.Logger) (*spool.Spool, error) {
	for {
		s, err := spool.Open(dir, spool.Options{Log: log, Holder: "serve"})
		if !errors.Is(err, spool.ErrInUse) || spool.HolderOf(dir) == "serve" {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// explain waits a moment for what was accepted before it to become visible, so that
// a conversion just posted is pending and not unknown.
func (s *service) explain(ctx context.Context, customerID, apiName, actionID string) (any, bool, error) {
	settled, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := s.spool.WaitDrained(settled); err != nil && ctx.Err() != nil {
		return nil, false, err
	}
	e, err := reports.Explain(ctx, s.db, customerID, apiName, actionID, s.now())
	if err != nil {
		return nil, false, err
	}
	return e, len(e.Copies) > 0, nil
}

// results are those of `tieback results`.
func (s *service) results(ctx context.Context, customerID, optimizationID, from, to string) (any, error) {
	days, err := reports.ParseDays(from, to)
	if err != nil {
		return nil, err
	}
	return reports.OptimizationResults(ctx, s.db, s.live.Snapshot(), customerID, optimizationID, days)
}

// catalogFailed says once that the catalog can't be read.
func (s *service) catalogFailed(err error) {
	gone := errors.Is(err, catalog.ErrCatalogGone)
	switch {
	case gone && !s.gone.Load():
		s.log.Error("what is known still holds; if that is meant, delete catalog.json in the data folder, if there is one, and start the service again", "err", err)
	case err != nil && !s.stale.Load():
		s.log.Warn("the catalog cannot be read, what was read before still holds", "err", err)
	case err == nil && s.stale.Load():
		s.log.Info("the catalog can be read again")
	}
	s.stale.Store(err != nil)
	s.gone.Store(gone)
}

// ready is nil while events are accepted and get where they should. Anybody may ask: the
// reasons name no path and no address; the log does.
func (s *service) ready() error {
	switch err := s.spool.Accepts(); {
	case errors.Is(err, spool.ErrFull):
		return errors.New("events are refused: the disk of the data folder is nearly full")
	case err != nil:
		return errors.New("events are refused: the spool can't be written; the log says why")
	}
	if err := s.writer.Failing(); err != nil {
		return fmt.Errorf("events wait in the spool: %s", publicReason(err))
	}
	if s.gone.Load() {
		return errors.New("the catalog in ClickHouse was emptied, or an older one restored; events are accepted for what it held before; the log says what to do")
	}
	if s.stale.Load() {
		return errors.New("the catalog can't be read from ClickHouse now; events are accepted for what it held before")
	}
	return nil
}

// publicReason says why ClickHouse does not take events, for people who must not see the
// inside.
func publicReason(err error) string {
	var told *warehouse.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &told):
		return fmt.Sprintf("ClickHouse refuses them (code %d); the log says why", told.Code)
	case errors.As(err, &file):
		return fmt.Sprintf("a file of the spool: %v", file.Err)
	case errors.Is(err, ingest.ErrStalled):
		return err.Error()
	default:
		return "ClickHouse does not answer; the log says why"
	}
}

// shutdownPatience bounds how long requests under way may take.
const shutdownPatience = 5 * time.Second

func (s *service) close() error {
	var errs []error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		// A client that is slower than that is cut off; the stop is clean all the same.
		if err := s.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
		cancel()
	}
	if s.listener != nil {
		s.listener.Close() // closed already where the server ran
	}
	if s.admin != nil {
		s.admin.Close()
	}
	if s.sql != nil {
		errs = append(errs, s.sql.Close())
	}
	if s.scheduler != nil {
		errs = append(errs, s.scheduler.Close())
	}
	if s.spool != nil && s.writer != nil {
		s.drain()
	}
	if s.cancel != nil {
		s.cancel()
	}
	s.background.Wait()
	if s.spool != nil {
		errs = append(errs, s.spool.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// drain gives the writer a moment for what is in the spool; the rest stays there.
func (s *service) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.spool.WaitDrained(ctx); err != nil {
		s.log.Warn("events stay in the spool, the next start sends them")
	}
}
