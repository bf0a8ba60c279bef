package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// startPatience is how long a starting engine may take before Open gives up. It
// includes loading the tables, which grows with the number of parts.
const startPatience = 2 * time.Minute

// Client keeps an engine running on a data folder for as long as it is open.
type Client struct {
	dataDir string
	command []string
	log     *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the keeper has ended

	readers *http.Transport // of those whom Analysts lets in

	mu      sync.Mutex
	lease   *lease // the one held now
	closing bool
}

// Open makes sure that an engine serves dataDir, starting one with command when
// none does, and keeps one there until Close: an engine that dies is started anew.
func Open(ctx context.Context, dataDir string, command []string, log *slog.Logger) (*Client, error) {
	dataDir, err := filepath.Abs(dataDir) // one that begins with a dash is no flag
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	c := &Client{dataDir: dataDir, command: command, log: log, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.readers = &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) },
		DisableCompression:  true, // what a client asked for is handed on
		MaxIdleConnsPerHost: 8,
	}
	lease, err := c.ensure(ctx)
	if err != nil {
		c.cancel()
		return nil, err
	}
	go c.keep(lease)
	return c, nil
}

// Dial connects to the engine's HTTP interface. It waits for an engine that is being
// started again, as long as ctx allows.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := c.dialOnce(ctx)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the embedded engine: %w", err)
		case <-c.ctx.Done():
			return nil, fmt.Errorf("connect to the embedded engine: closed: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Client) dialOnce(ctx context.Context) (net.Conn, error) {
	e, err := ReadEndpoint(c.dataDir)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(context.WithoutCancel(ctx), "tcp", e.Address) // on this machine: at once
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn, c.dataDir); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Close gives up the lease and, when it was the last one, waits for the engine to
// end.
func (c *Client) Close() error {
	c.readers.CloseIdleConnections() // the engine waits for what they may still ask
	ending := c.giveUp()
	c.cancel()
	<-c.done
	if !ending {
		return nil
	}
	for deadline := time.Now().Add(20 * time.Second); !engineGone(c.dataDir); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("the embedded engine did not end within 20 s; it ends by itself when its last statement does")
		}
	}
	return nil
}

// giveUp tells the engine that the lease is not needed any more, and reports
// whether the engine ends because of that.
func (c *Client) giveUp() (ending bool) {
	c.mu.Lock()
	held := c.lease
	c.closing = true
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://engine"+leasePath+"?id="+held.id, nil)
	if err != nil {
		return false
	}
	res, err := httpClient(c.dataDir).Do(req)
	if err != nil {
		return false // dead already: nothing to wait for
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusGone
}

// engineGone reports whether no process holds the engine's lock.
func engineGone(dataDir string) bool {
	file, err := os.Open(filepath.Join(dataDir, lockName))
	if err != nil {
		return true
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// keep holds the lease, and gets another one when the engine dies.
func (c *Client) keep(lease *lease) {
	defer close(c.done)
	for {
		watched := lease
		stop := context.AfterFunc(c.ctx, func() { watched.Close() })
		_, _ = io.Copy(io.Discard, lease) // ends with the engine, or with Close
		stop()
		lease.Close()
		if c.isClosing() {
			return
		}
		c.log.Warn("the embedded engine ended, starting it anew", "data", c.dataDir)
		if lease = c.reopen(); lease == nil {
			return
		}
	}
}

func (c *Client) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// reopen tries until it has a lease again; nil after Close.
func (c *Client) reopen() *lease {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		lease, err := c.ensure(c.ctx)
		if err == nil {
			return lease
		}
		if c.ctx.Err() != nil {
			return nil
		}
		c.log.Error("start the embedded engine", "err", err, "retry_in", wait.String())
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// ensure returns a lease on a running engine, which it starts when there is none.
func (c *Client) ensure(ctx context.Context) (*lease, error) {
	if lease, err := c.takeLease(ctx); err == nil {
		return lease, nil
	}
	child, err := c.start()
	if err != nil {
		return nil, err
	}
	deadline := time.After(startPatience)
	ended := child.ended
	for {
		lease, err := c.takeLease(ctx)
		if err == nil {
			return lease, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline:
			return nil, fmt.Errorf("the embedded engine did not answer within %s: %w", startPatience, err)
		case err := <-ended:
			if err != nil {
				return nil, fmt.Errorf("start the embedded engine: %w", child.explain(err))
			}
			ended = nil // another engine serves the folder, or is about to end: look again
			if child, err = c.start(); err != nil {
				return nil, err
			}
			ended = child.ended
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *Client) takeLease(ctx context.Context) (*lease, error) {
	client := httpClient(c.dataDir)
	// The request lives as long as the lease, so it must not end with ctx.
	leaseCtx, cancel := context.WithCancel(c.ctx)
	stop := context.AfterFunc(ctx, cancel)
	req, err := http.NewRequestWithContext(leaseCtx, http.MethodGet, "http://engine"+leasePath, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	res, err := client.Do(req)
	stop()
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		cancel()
		return nil, errors.New(res.Status)
	}
	held := &lease{ReadCloser: res.Body, id: res.Header.Get(leaseHeader), cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease = held
	return held, nil
}

// lease is the body of the open request; reading it ends when the engine does.
type lease struct {
	io.ReadCloser
	id     string
	cancel context.CancelFunc
}

func (l *lease) Close() error {
	l.cancel()
	return l.ReadCloser.Close()
}

func httpClient(dataDir string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialUnix(ctx, dataDir)
		},
	}}
}

// ping asks the engine whether it answers.
func ping(ctx context.Context, dataDir string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/ping", nil)
	if err != nil {
		return err
	}
	res, err := httpClient(dataDir).Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
