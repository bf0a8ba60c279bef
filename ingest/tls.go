package ingest

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateInterval is how often the files are looked at, at most.
const certificateInterval = time.Second

// Certificate is a certificate and key in files, read again when they change. A new
// pair that cannot be read leaves the old one in use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu       sync.Mutex
	pair     *tls.Certificate
	modified time.Time
	checked  time.Time
}

// LoadCertificate reads the pair for the first time.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.modified = c.lastModified()
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
	modified := c.lastModified()
	if modified.Equal(c.modified) {
		return c.pair
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the new certificate cannot be used, the old one stays", "err", err)
		return c.pair
	}
	c.pair, c.modified = &pair, modified
	c.log.Info("the certificate was read again", "file", c.certFile)
	return c.pair
}

// lastModified is the later change of the two files.
func (c *Certificate) lastModified() (newest time.Time) {
	for _, file := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}
