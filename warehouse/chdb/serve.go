package chdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tieback/tieback/human"
)

const (
	socketName = "engine.sock" // in the data folder; leases are taken there
	lockName   = "engine.lock"
	logName    = "engine.log"

	leasePath   = "/tieback/lease"
	leaseHeader = "X-Tieback-Lease"

	// engineNiceness lets the ingest service have the processor when both want it.
	engineNiceness = 10

	// firstLease is how long an engine waits for the one who started it.
	firstLease = 30 * time.Second
	// lockPatience is how long a new engine waits for an ending one.
	lockPatience = 20 * time.Second
	// endPatience is how long the end waits for statements that were told to end. What is on
	// disk is whole at any moment.
	endPatience = 8 * time.Second
)

// Serve hosts the engine on the data folder until its last lease is gone or ctx
// ends. It returns nil at once when another engine serves that folder already.
func Serve(ctx context.Context, dataDir string) error {
	lib, err := FindLibrary()
	if err != nil {
		return err
	}
	if dataDir, err = filepath.Abs(dataDir); err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	lock, err := takeLock(ctx, dataDir)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()

	signal.Ignore(syscall.SIGPIPE) // ClickHouse writes to readers who have gone: that must end no more than their statements

	syscall.Umask(0o077) // what ClickHouse writes, backups too, is for this user only

	// Accepting events goes before inserting them: the spool holds what waits.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, engineNiceness)

	bound, err := load(lib)
	if err != nil {
		return err
	}
	host, err := startHost(ctx, bound, dataDir)
	if err != nil {
		return err
	}
	defer host.stop()
	listener, err := listenUnix(dataDir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ok.\n") })
	mux.Handle(leasePath, newLeases(cancel))
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		select {
		case <-ctx.Done():
		case <-host.ended:
			cancel()
		}
		_ = os.Remove(filepath.Join(dataDir, socketName)) // newcomers start an engine of their own
		stop, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		_ = server.Shutdown(stop)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the engine's socket: %w", err)
	}
	return nil
}

// takeLock takes the lock of the folder's engine. It returns nil without an error
// when another engine holds it and answers.
func takeLock(ctx context.Context, dataDir string) (*os.File, error) {
	path := filepath.Join(dataDir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the engine's lock: %w", human.Permission(err))
	}
	for deadline := time.Now().Add(lockPatience); ; {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			break
		}
		if ping(ctx, dataDir) == nil {
			file.Close()
			return nil, nil
		}
		if time.Now().After(deadline) {
			holder, _ := os.ReadFile(path)
			file.Close()
			return nil, fmt.Errorf("another engine (process %s) holds %s and does not answer on its socket; wait for it to end, or end it", strings.TrimSpace(string(holder)), path)
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for the message above only
	return file, nil
}

// listenUnix listens on the data folder's socket. The folder is named through its
// descriptor, since a socket's path may have 107 bytes only.
func listenUnix(dataDir string) (net.Listener, error) {
	path := filepath.Join(dataDir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	dir, err := os.Open(dataDir)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	defer dir.Close()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: shortSocket(dir), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	listener.SetUnlinkOnClose(false)
	return listener, os.Chmod(path, 0o600)
}

func dialUnix(ctx context.Context, dataDir string) (net.Conn, error) {
	dir, err := os.Open(dataDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", shortSocket(dir))
}

func shortSocket(dir *os.File) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName)
}

// leases counts the clients. When the last one goes, the engine ends.
type leases struct {
	end func()

	mu     sync.Mutex
	open   map[string]bool
	ending bool
}

func newLeases(end func()) *leases {
	l := &leases{end: end, open: map[string]bool{}}
	time.AfterFunc(firstLease, func() { l.drop("") })
	return l
}

// take returns the name of a new lease, or false when the engine is ending.
func (l *leases) take() (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending {
		return "", false
	}
	id = rand.Text()
	l.open[id] = true
	return id, true
}

// drop gives a lease up and reports whether the engine is ending.
func (l *leases) drop(id string) (ending bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, id)
	if len(l.open) == 0 && !l.ending {
		l.ending = true
		l.end()
	}
	return l.ending
}

// ServeHTTP holds a lease until its holder goes away (GET), or takes it back at
// once (DELETE), saying with 410 that the engine ends.
func (l *leases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		if l.drop(r.URL.Query().Get("id")) {
			w.WriteHeader(http.StatusGone)
		}
		return
	}
	id, ok := l.take()
	if !ok {
		http.Error(w, "the engine is ending, start another one", http.StatusServiceUnavailable)
		return
	}
	defer l.drop(id)
	w.Header().Set(leaseHeader, id)
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}
