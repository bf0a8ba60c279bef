package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/warehouse"
)

// openClickHouse opens ClickHouse and reads the catalog. A server that is away does not keep the
// service from accepting what the catalog of the last time allows; without one it is waited for.
func (s *service) openClickHouse(ctx context.Context) (away bool, err error) {
	if err := s.restoredWhole(); err != nil {
		return false, err
	}
	if s.db, err = s.openUnmigrated(ctx, true); err != nil {
		return false, err
	}
	store, kept := catalog.NewStore(s.db, s.now), ""
	if s.clickhouseURL != "" {
		kept = filepath.Join(s.dataDir, "catalog.json")
	}
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		if _, _, err = s.db.Migrate(ctx); err == nil {
			s.live, err = catalog.NewLive(ctx, store, kept)
		}
		if errors.Is(err, catalog.ErrCatalogGone) {
			s.log.Error("what is known still holds; delete the file and start again if that is meant", "err", err, "file", kept)
			s.gone.Store(true)
			s.live, err = catalog.KeptLive(store, kept)
			return false, err
		}
		if !errors.Is(err, warehouse.ErrAway) {
			return false, err
		}
		if s.live, err = catalog.KeptLive(store, kept); err == nil {
			s.log.Warn("ClickHouse does not answer: events are accepted as the catalog of the last time allows, and wait in the spool", "clickhouse", s.db.Where())
			s.stale.Store(true)
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		s.log.Warn("ClickHouse does not answer, and has not before: nothing can be accepted until it does", "clickhouse", s.db.Where(), "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// longestWait is the longest pause between two tries to reach ClickHouse.
const longestWait = 10 * time.Second

// awaitClickHouse waits until ClickHouse is there, and brings its schema up to date; false when ctx
// has ended before.
func (s *service) awaitClickHouse(ctx context.Context) bool {
	for wait := time.Second; ; wait = min(2*wait, longestWait) {
		_, _, err := s.db.Migrate(ctx)
		if err == nil {
			s.log.Info("ClickHouse answers")
			return true
		}
		s.log.Warn("ClickHouse is waited for", "err", err, "again_in", wait.String())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// catalogFailed says once that the catalog can't be read.
func (s *service) catalogFailed(err error) {
	gone := errors.Is(err, catalog.ErrCatalogGone)
	switch {
	case gone && !s.gone.Load():
		s.log.Error("what is known still holds; if that is meant, delete catalog.json in the data folder, if there is one, and start the service again", "err", err)
	case err != nil && !s.stale.Load():
		s.log.Warn("the catalog cannot be read, what was read before still holds", "err", err)
	case err == nil && s.stale.Load():
		s.log.Info("the catalog can be read again")
	}
	s.stale.Store(err != nil)
	s.gone.Store(gone)
	if err == nil {
		now := s.now()
		s.catalogAt.Store(&now)
	}
}
