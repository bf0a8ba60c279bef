package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tieback/tieback/admin"
	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/sql"
	"github.com/tieback/tieback/warehouse"
)

// gcPercent lets the service's small heap grow a few times over between collections:
// it lives off garbage, and some 50 MB more save a fifth of its processor time.
const gcPercent = 400

func (s *serveCmd) Run(ctx context.Context, p *program) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	srv := &service{program: p, settings: s, metrics: ingest.NewMetrics(), noteNow: make(chan struct{}, 1)}
	if err := srv.start(ctx); err != nil {
		return errors.Join(err, srv.close())
	}
	listens := []any{"address", srv.listener.Addr().String(), "data", p.dataDir}
	if srv.admin != nil {
		listens = append(listens, "admin_page", "/admin/")
	}
	if p.clickhouseURL != "" {
		listens = append(listens, "clickhouse", srv.db.Where())
	}
	if p.cluster != "" {
		listens = append(listens, "cluster", p.cluster)
	}
	p.log.Info("tieback listens", append(listens, "version", version)...)
	p.notifySystemd(daemon.SdNotifyReady)
	select {
	case <-ctx.Done():
		p.log.Info("stopping")
		p.notifySystemd(daemon.SdNotifyStopping)
		return srv.close()
	case err := <-srv.failed:
		return errors.Join(err, srv.close())
	}
}

// notifySystemd reports the state of the service to systemd, where its unit has Type=notify.
func (p *program) notifySystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		p.log.Warn("the state of the service cannot be reported to systemd", "err", err)
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

// service is a running `tieback serve`. start and close have the order of its parts: what
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
	night     *nightFigures
	catalogAt atomic.Pointer[time.Time] // when the catalog was read last
	private   *http.Server              // of /metrics; nil unless asked for
	writer    *ingest.Writer
	admin     *admin.Admin // nil unless asked for
	server    *ingest.Server
	scheduler *jobs.Scheduler
	sql       *sqlPort      // nil unless asked for
	noteNow   chan struct{} // wants a row of service_minutes before its time

	background sync.WaitGroup // Follow and the writer
	cancel     context.CancelFunc
	failed     chan error // what ends the service by itself
}

// catalogInterval is how often a running service looks for changes of the catalog:
// a revoked token is refused within 1 s.
const catalogInterval = 300 * time.Millisecond

func (s *service) start(ctx context.Context) error {
	s.failed = make(chan error, 4)
	s.night = &nightFigures{now: s.now, catalogRead: func() time.Time {
		if at := s.catalogAt.Load(); at != nil {
			return *at
		}
		return time.Time{}
	}}
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
		Explain: s.explain, Results: s.results, Received: s.received, Mount: mount, Metrics: s.metrics,
		Collectors: []prometheus.Collector{s.night}, PrivateMetrics: s.settings.MetricsListen != "", AccessLog: s.settings.AccessLog,
	})
	if s.settings.MetricsListen != "" {
		if err := s.openMetrics(); err != nil {
			return err
		}
	}
	s.writer = ingest.NewWriter(s.spool, s.db, ingest.NewDeadLetters(s.dataDir), s.metrics, s.log)

	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	runner := s.runner(s.db)
	if s.scheduler, err = jobs.NewScheduler(runner, s.drained, clockwork.NewRealClock(), s.log); err != nil {
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

// openMetrics serves /metrics on an address of its own.
func (s *service) openMetrics() error {
	listener, err := net.Listen("tcp", s.settings.MetricsListen)
	if err != nil {
		return fmt.Errorf("listen on %s for metrics: %w; choose another address with --metrics-listen", s.settings.MetricsListen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.server.MetricsHandler())
	s.private = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.log.Info("metrics are served", "address", listener.Addr().String())
	go func() {
		if err := s.private.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve metrics: %w", err)
		}
	}()
	return nil
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

// received says which conversions are in ClickHouse.
func (s *service) received(ctx context.Context, customerID string, keys []ingest.ConversionKey) (map[ingest.ConversionKey]bool, error) {
	var found []struct {
		APIName  string `ch:"api_name"`
		ActionID string `ch:"action_id"`
	}
	names, actions := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		names[i], actions[i] = key.APIName, key.ActionID
	}
	params := warehouse.Params{"customer_id": customerID, "api_names": names, "action_ids": actions}
	if err := s.db.Select(ctx, &found, sql.Report("received_keys").SQL, params); err != nil {
		return nil, err
	}
	received := make(map[ingest.ConversionKey]bool, len(found))
	for _, f := range found {
		received[ingest.ConversionKey{APIName: f.APIName, ActionID: f.ActionID}] = true
	}
	return received, nil
}

// results are those of `tieback results`.
func (s *service) results(ctx context.Context, customerID, optimizationID string, q ingest.ResultsAsked) (any, error) {
	asked, err := reports.ParseAsked(q.From, q.To, q.Cap, q.Segment, q.By, q.KnownAt, s.now())
	if err != nil {
		return nil, err
	}
	return reports.OptimizationResults(ctx, s.db, s.live.Snapshot(), customerID, optimizationID, asked)
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
	if s.private != nil {
		errs = append(errs, s.private.Close())
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
