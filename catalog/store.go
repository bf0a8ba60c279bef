package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tieback/tieback/warehouse"
)

// Store reads and changes the catalog in ClickHouse.
type Store struct {
	db  *warehouse.DB
	now func() time.Time
}

// NewStore returns the catalog in db. now is the clock that renames and archives
// take effect by.
func NewStore(db *warehouse.DB, now func() time.Time) *Store { return &Store{db: db, now: now} }

// Version returns the number of the newest change.
func (s *Store) Version(ctx context.Context) (uint64, error) {
	var version uint64
	err := s.db.Row(ctx, "select max(version) from catalog_changes", nil, &version)
	return version, err
}

// Load reads the whole catalog.
func (s *Store) Load(ctx context.Context) (*Snapshot, error) {
	version, err := s.Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	snap := &Snapshot{
		Version: version, Accounts: map[string]Account{}, Tokens: map[string]Token{}, Names: map[string][]EventName{},
		Optimizations: map[string]map[string]Optimization{},
		Variations:    map[string]map[string]map[string]Variation{},
		Goals:         map[string]map[string]map[string]Goal{},
	}
	for _, load := range []func(context.Context, *Snapshot) error{
		s.loadAccounts, s.loadNames, s.loadOptimizations,
	} {
		if err := load(ctx, snap); err != nil {
			return nil, fmt.Errorf("read the catalog: %w", err)
		}
	}
	return snap, nil
}

// load reads the rows of a table that count: of each key the newest of a change that is whole.
func (s *Store) load(ctx context.Context, into any, columns, table, key string) error {
	return s.db.Select(ctx, into, "select "+columns+" from "+table+
		" where version in (select catalog_changes.version from catalog_changes) order by version desc limit 1 by "+key, nil)
}

func (s *Store) loadAccounts(ctx context.Context, snap *Snapshot) error {
	var accounts []Account
	if err := s.load(ctx, &accounts, "customer_id, origins, created_at, version", "catalog_accounts", "customer_id"); err != nil {
		return err
	}
	for _, a := range accounts {
		snap.Accounts[a.CustomerID] = a
	}
	var tokens []Token
	if err := s.load(ctx, &tokens, "customer_id, name, prefix, hash, created_at, revoked_at, version", "catalog_tokens", "customer_id, prefix"); err != nil {
		return err
	}
	for _, t := range tokens {
		snap.Tokens[t.Prefix] = t
	}
	return nil
}

func (s *Store) loadNames(ctx context.Context, snap *Snapshot) error {
	var names []EventName
	err := s.load(ctx, &names, "customer_id, event_id, api_name, valid_from, valid_to, version",
		"catalog_event_names", "customer_id, event_id, api_name, valid_from")
	slices.SortFunc(names, func(a, b EventName) int {
		return cmp.Or(cmp.Compare(a.CustomerID, b.CustomerID), a.From.Compare(b.From), cmp.Compare(a.Version, b.Version), cmp.Compare(a.key(), b.key()))
	})
	for _, n := range names {
		snap.Names[n.CustomerID] = append(snap.Names[n.CustomerID], n)
	}
	return err
}

func (s *Store) loadOptimizations(ctx context.Context, snap *Snapshot) error {
	var optimizations []Optimization
	if err := s.load(ctx, &optimizations, "customer_id, optimization_id, name, version", "catalog_optimizations", "customer_id, optimization_id"); err != nil {
		return err
	}
	for _, o := range optimizations {
		put(snap.Optimizations, o.CustomerID, o.OptimizationID, o)
	}
	var variations []Variation
	if err := s.load(ctx, &variations, `customer_id, optimization_id, variation_id, name, is_baseline = 1 as is_baseline, weight, position,
		is_deleted = 1 as is_deleted, version`, "catalog_variations", "customer_id, optimization_id, variation_id"); err != nil {
		return err
	}
	for _, v := range variations {
		inner := snap.Variations[v.CustomerID]
		if inner == nil {
			inner = map[string]map[string]Variation{}
			snap.Variations[v.CustomerID] = inner
		}
		put(inner, v.OptimizationID, v.VariationID, v)
	}
	var goals []Goal
	if err := s.load(ctx, &goals, "customer_id, optimization_id, event_id, is_primary = 1 as is_primary, is_deleted = 1 as is_deleted, version",
		"catalog_goals", "customer_id, optimization_id, event_id"); err != nil {
		return err
	}
	for _, g := range goals {
		inner := snap.Goals[g.CustomerID]
		if inner == nil {
			inner = map[string]map[string]Goal{}
			snap.Goals[g.CustomerID] = inner
		}
		put(inner, g.OptimizationID, g.EventID, g)
	}
	return nil
}

func put[V any](m map[string]map[string]V, outer, inner string, value V) {
	if m[outer] == nil {
		m[outer] = map[string]V{}
	}
	m[outer][inner] = value
}

// Change lets edit change the catalog; source tells who asks. If edit returns an
// error nothing is written. Changes wait for each other, across processes on one
// data folder or one ClickHouse server.
func (s *Store) Change(ctx context.Context, source string, edit func(*Edit) error) error {
	held, err := s.db.Lock(ctx, "catalog", 0, nil)
	if err != nil {
		return err
	}
	defer held.Release()
	ctx = held.Context
	snap, err := s.Load(ctx)
	if err != nil {
		return err
	}
	e := &Edit{Snapshot: snap, now: s.now().UTC().Truncate(time.Millisecond)}
	if err := edit(e); err != nil {
		return err
	}
	if len(e.changes) == 0 {
		return nil
	}
	if err := s.write(ctx, e, source); err != nil {
		return fmt.Errorf("write the catalog: %w", err)
	}
	return nil
}

// nextVersion is one that no row has, not even one of a change that was cut off.
func (s *Store) nextVersion(ctx context.Context) (version uint64, err error) {
	err = s.db.Row(ctx, `select 1 + greatest(
		(select max(version) from catalog_changes), (select max(version) from catalog_accounts), (select max(version) from catalog_tokens),
		(select max(version) from catalog_event_names), (select max(version) from catalog_optimizations),
		(select max(version) from catalog_variations), (select max(version) from catalog_goals))`, nil, &version)
	return version, err
}

// write appends the rows. The change itself comes last: that insert makes all of them count,
// and lets running services know that there is something new to read.
func (s *Store) write(ctx context.Context, e *Edit, source string) error {
	version, err := s.nextVersion(ctx)
	if err != nil {
		return err
	}
	for i := range e.accounts {
		e.accounts[i].Version = version
	}
	for i := range e.tokens {
		e.tokens[i].Version = version
	}
	for i := range e.names {
		e.names[i].Version = version
	}
	for i := range e.optimizations {
		e.optimizations[i].Version = version
	}
	for i := range e.variations {
		e.variations[i].Version = version
	}
	for i := range e.goals {
		e.goals[i].Version = version
	}
	for i := range e.changes {
		e.changes[i].Version, e.changes[i].ChangedAt, e.changes[i].Source = version, e.now, source
	}
	for _, insert := range []func() error{
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_accounts", e.accounts) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_tokens", e.tokens) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_event_names", e.names) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_optimizations", e.optimizations) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_variations", e.variations) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_goals", e.goals) },
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_changes", e.changes) },
	} {
		if err := insert(); err != nil {
			return err
		}
	}
	return nil
}

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
