package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// Live is the catalog as a running service sees it: changes made by any process
// show within the interval that Follow polls at.
type Live struct {
	store *Store
	kept  string // the file that the newest catalog is kept in, for a start without ClickHouse; empty for none
	snap  atomic.Pointer[Snapshot]

	reading chan struct{} // held by whoever reads
	began   time.Time     // when the last read that Refresh made began
	failed  error         // and what came of it
}

// NewLive loads the catalog once. It and all newer ones are kept in the file kept, unless that is
// empty. The error is ErrCatalogGone where a newer one was kept before.
func NewLive(ctx context.Context, store *Store, kept string) (*Live, error) {
	l := &Live{store: store, kept: kept, reading: make(chan struct{}, 1)}
	snap, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if before, err := KeptLive(store, kept); err == nil && before.Snapshot().Version > snap.Version {
		return nil, fmt.Errorf("%w: its newest change has number %d, the one known %d", ErrCatalogGone, snap.Version, before.Snapshot().Version)
	}
	return l, l.take(snap)
}

// KeptLive begins with the catalog that was kept in a file. The error is fs.ErrNotExist where
// there is none.
func KeptLive(store *Store, kept string) (*Live, error) {
	if kept == "" {
		return nil, fs.ErrNotExist
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		return nil, fmt.Errorf("read the catalog of the last time: %w", err)
	}
	snap := &Snapshot{}
	if err := json.Unmarshal(text, snap); err != nil {
		return nil, fmt.Errorf("read the catalog of the last time, %s: %w", kept, err)
	}
	l := &Live{store: store, kept: kept, reading: make(chan struct{}, 1)}
	l.snap.Store(snap)
	return l, nil
}

// take makes a catalog the one that holds.
func (l *Live) take(snap *Snapshot) error {
	l.snap.Store(snap)
	if l.kept == "" {
		return nil
	}
	text, err := json.Marshal(snap)
	if err != nil {
		return fmt.Errorf("keep the catalog: %w", err)
	}
	fresh := l.kept + ".new"
	if err := errors.Join(os.WriteFile(fresh, text, 0o600), os.Rename(fresh, l.kept)); err != nil {
		return fmt.Errorf("keep the catalog: %w", err)
	}
	return nil
}

// Snapshot returns the newest catalog that was read.
func (l *Live) Snapshot() *Snapshot { return l.snap.Load() }

// Follow polls until ctx ends. An engine that does not answer leaves the catalog as
// it was; read is told how each poll ended.
func (l *Live) Follow(ctx context.Context, every time.Duration, read func(error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			select {
			case l.reading <- struct{}{}:
			case <-ctx.Done():
				return
			}
			err := l.refresh(ctx)
			<-l.reading
			if ctx.Err() == nil {
				read(err)
			}
		}
	}
}

// missInterval bounds how often something unknown makes Refresh read the catalog.
const missInterval = 50 * time.Millisecond

// Refresh makes sure that what was in the catalog when it was called is in the
// snapshot, for a caller who did not find something that may be new. Callers at the
// same time share one read, which goes on when ctx ends.
func (l *Live) Refresh(ctx context.Context) error {
	arrived := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case l.reading <- struct{}{}:
	}
	if l.began.After(arrived) {
		defer func() { <-l.reading }()
		return l.failed
	}
	read := make(chan error, 1)
	go func() {
		defer func() { <-l.reading }()
		if wait := missInterval - time.Since(l.began); wait > 0 {
			time.Sleep(wait)
		}
		l.began = time.Now()
		l.failed = l.refresh(context.Background())
		read <- l.failed
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-read:
		return err
	}
}

// refresh reads the catalog where it has changed. One at a time: a slow read must not put an older
// catalog in the place of a newer one, so l.reading is held.
func (l *Live) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	version, err := l.store.Version(ctx)
	if err != nil || version == l.Snapshot().Version {
		return err
	}
	if version < l.Snapshot().Version {
		return fmt.Errorf("%w: its newest change has number %d, the one known %d", ErrCatalogGone, version, l.Snapshot().Version)
	}
	snap, err := l.store.Load(ctx)
	if err != nil {
		return err
	}
	return l.take(snap)
}

// ErrCatalogGone says that ClickHouse has an older catalog than before: what was known still holds.
var ErrCatalogGone = errors.New("the catalog in ClickHouse was emptied, or an older one restored")
