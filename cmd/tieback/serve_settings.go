package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/tieback/tieback/admin"
	"github.com/tieback/tieback/ingest"
)

type serveCmd struct {
	Listen    string        `default:":8080" env:"TIEBACK_LISTEN" help:"Address to listen on."`
	MaxFuture time.Duration `default:"5s" env:"TIEBACK_MAX_FUTURE" help:"How far after its receipt a conversion may claim to have happened."`
	MaxAge    time.Duration `default:"168h" env:"TIEBACK_MAX_AGE" help:"How far before its receipt a conversion may have happened."`

	SQLListen string `name:"sql-listen" env:"TIEBACK_SQL_LISTEN" placeholder:"ADDRESS" help:"Let Grafana, curl and drivers read the embedded engine's published tables over ClickHouse's HTTP interface here, as :8123 (this machine only) or HOST:8123, which needs --analyst-password."`

	AnalystPassword string `name:"analyst-password" env:"TIEBACK_ANALYST_PASSWORD" placeholder:"PASSWORD" help:"Of the user analyst, for --sql-listen. Better in the environment, where ps does not show it."`

	AdminToken string `name:"admin-token" env:"TIEBACK_ADMIN_TOKEN" placeholder:"TOKEN" help:"Opens the admin page and API under /admin/; 16 bytes at least. Off if not given. Better in the environment, where ps does not show it."`

	AccessLog bool `name:"access-log" env:"TIEBACK_ACCESS_LOG" help:"Log each request: method, path without its parameters, status, time, address and request id."`

	MetricsListen string `name:"metrics-listen" env:"TIEBACK_METRICS_LISTEN" placeholder:"ADDRESS" help:"Serve /metrics here, as 127.0.0.1:9100, and no longer on --listen."`

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
