package ingest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// certificateInterval is how often the files are looked at, at most.
const certificateInterval = time.Second

// Certificate is a certificate and key in files, read again when they change. A new
// pair that cannot be read leaves the old one in use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	read    [2]state // of the files, when the pair was read
	checked time.Time
}

// LoadCertificate reads the pair for the first time.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.read = c.states()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s with the key %s: %w", certFile, keyFile, err)
	}
	c.pair = &pair
	return c, nil
}

// Config returns the settings of a listener that presents the certificate.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certificateInterval {
		return c.pair
	}
	c.checked = time.Now()
	now := c.states()
	if now == c.read {
		return c.pair
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the new certificate cannot be used, the old one stays", "err", err)
		return c.pair
	}
	c.pair, c.read = &pair, now
	c.log.Info("the certificate was read again", "file", c.certFile)
	return c.pair
}

// state is what says that a file is another one: a copy may keep the time of an older file.
type state struct {
	file, size, modified int64
}

// states are those of the certificate and of the key.
func (c *Certificate) states() (now [2]state) {
	for i, file := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(file); err == nil {
			now[i] = state{size: info.Size(), modified: info.ModTime().UnixNano()}
			if unix, ok := info.Sys().(*syscall.Stat_t); ok {
				now[i].file = int64(unix.Ino)
			}
		}
	}
	return now
}
