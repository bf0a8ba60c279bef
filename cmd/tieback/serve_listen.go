package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/tieback/tieback/ingest"
)

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
