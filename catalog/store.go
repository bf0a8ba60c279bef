package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
		Rules:         map[string]map[string][]EventRule{},
		Optimizations: map[string]map[string]Optimization{},
		Variations:    map[string]map[string]map[string]Variation{},
		Goals:         map[string]map[string]map[string]Goal{},
	}
	for _, load := range []func(context.Context, *Snapshot) error{
		s.loadAccounts, s.loadNames, s.loadRules, s.loadOptimizations,
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
	if err := s.load(ctx, &accounts, "customer_id, origins, created_at, is_deleted = 1 as is_deleted, version", "catalog_accounts", "customer_id"); err != nil {
		return err
	}
	for _, a := range accounts {
		if !a.IsDeleted {
			snap.Accounts[a.CustomerID] = a
		}
	}
	var tokens []Token
	if err := s.load(ctx, &tokens, "customer_id, name, prefix, hash, created_at, revoked_at, is_deleted = 1 as is_deleted, version", "catalog_tokens", "customer_id, prefix"); err != nil {
		return err
	}
	for _, t := range tokens {
		if !t.IsDeleted {
			snap.Tokens[t.Prefix] = t
		}
	}
	return nil
}

func (s *Store) loadNames(ctx context.Context, snap *Snapshot) error {
	var names []EventName
	err := s.load(ctx, &names, "customer_id, event_id, api_name, valid_from, valid_to, is_deleted = 1 as is_deleted, version",
		"catalog_event_names", "customer_id, event_id, api_name, valid_from")
	slices.SortFunc(names, func(a, b EventName) int {
		return cmp.Or(cmp.Compare(a.CustomerID, b.CustomerID), a.From.Compare(b.From), cmp.Compare(a.Version, b.Version), cmp.Compare(a.key(), b.key()))
	})
	for _, n := range names {
		if !n.IsDeleted {
			snap.Names[n.CustomerID] = append(snap.Names[n.CustomerID], n)
		}
	}
	return err
}

func (s *Store) loadRules(ctx context.Context, snap *Snapshot) error {
	var rules []EventRule
	err := s.load(ctx, &rules, "customer_id, event_id, valid_from, valid_to, window_days, toString(credit) as credit, is_deleted = 1 as is_deleted, version",
		"catalog_event_rules", "customer_id, event_id, valid_from")
	slices.SortFunc(rules, func(a, b EventRule) int { return a.From.Compare(b.From) })
	for _, r := range rules {
		if !r.IsDeleted {
			put(snap.Rules, r.CustomerID, r.EventID, append(snap.Rules[r.CustomerID][r.EventID], r))
		}
	}
	return err
}

func (s *Store) loadOptimizations(ctx context.Context, snap *Snapshot) error {
	var optimizations []Optimization
	if err := s.load(ctx, &optimizations, "customer_id, optimization_id, name, planned_visitors, is_deleted = 1 as is_deleted, version", "catalog_optimizations", "customer_id, optimization_id"); err != nil {
		return err
	}
	for _, o := range optimizations {
		if o.IsDeleted {
			continue
		}
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
	if err := s.load(ctx, &goals, "customer_id, optimization_id, event_id, is_primary = 1 as is_primary, mde_percent, is_deleted = 1 as is_deleted, version",
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

// Change lets edit change the catalog; source says who asks. If edit returns an
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
		(select max(version) from catalog_event_names), (select max(version) from catalog_event_rules), (select max(version) from catalog_optimizations),
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
	for i := range e.rules {
		e.rules[i].Version = version
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
		func() error { return warehouse.InsertStructs(ctx, s.db, "catalog_event_rules", e.rules) },
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
