package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/jonboulle/clockwork"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tieback/tieback/admin"
	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/ingest"
	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/jobs"
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
