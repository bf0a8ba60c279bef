package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/tieback/tieback/ingest"
)

// isLoopback reports whether an address to listen on is reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// sqlPort lets others read the published tables of the embedded engine.
type sqlPort struct {
	server *http.Server
	done   chan struct{}
}

// mostReaders are the connections that the port holds: idle ones must not take the files that
// accepting events needs.
const mostReaders = 256

// openSQLPort listens on address; on this machine only, unless it names a host.
func (s *service) openSQLPort(address, password string) (*sqlPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for SQL: %w; choose another address with --sql-listen", err)
	}
	limits := connectionLimits(fileLimit())
	listener = ingest.Limit(listener, ingest.ConnectionLimits{Total: min(mostReaders, limits.Total/2)}, s.metrics, s.log)
	p := &sqlPort{
		server: &http.Server{Handler: s.db.Analysts(password), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute},
		done:   make(chan struct{}),
	}
	s.log.Info("SQL can be read", "address", listener.Addr().String())
	go func() {
		defer close(p.done)
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve SQL: %w", err)
		}
	}()
	return p, nil
}

// Close lets statements under way end, for a moment, and then cuts them off.
func (p *sqlPort) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = p.server.Close()
	}
	<-p.done
	return err
}
