package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// register is where the locks of a ClickHouse are written. Names of locks sort as their generations do.
type register interface {
	// table has the names of the locks, for statements with a fence.
	table() string
	// newest returns the newest lock of a prefix, the zero lockState for none.
	newest(ctx context.Context, prefix string) (lockState, error)
	// claim makes a lock; false where there is one of that name already.
	claim(ctx context.Context, lock, holder string) (bool, error)
	// sign gives a sign of life of its holder, or the last one.
	sign(ctx context.Context, lock, holder string, last bool) error
	// between lists the locks of a prefix after one and before another one; an empty text stands for no bound.
	between(ctx context.Context, prefix, after, before string) ([]string, error)
	drop(ctx context.Context, lock string) error
}

// lockState is the newest holder of a lock.
type lockState struct {
	lock      string // empty for none
	holder    string
	signed    time.Time // when it gave the last sign of life, by ClickHouse's clock
	now       time.Time // by the same clock; zero where several clocks may have written signed
	givenBack bool
}

// register returns where this database's locks are: in keeper_locks if it has that table, which only a fresh database gets.
func (db *DB) register(ctx context.Context) (register, error) {
	var exists uint8
	err := db.Row(ctx, "exists table keeper_locks", nil, &exists)
	if err == nil && exists == 1 {
		return keeperRegister{db}, nil
	}
	return tableRegister{db}, err
}

// Locks says in words where locks are kept.
func (db *DB) Locks(ctx context.Context) (string, error) {
	if db.engine != nil {
		return "files of the data folder", nil
	}
	r, err := db.register(ctx)
	if _, inKeeper := r.(keeperRegister); inKeeper {
		return "in Keeper, which all replicas share", err
	}
	return "tables of this one server, which all services must use", err
}

// tableRegister has a table for each lock, with a row for each sign of life: ClickHouse makes a table of a name once. All clients must
// be at one server.
type tableRegister struct{ db *DB }

func (tableRegister) table() string { return "lock_tables" }

func (r tableRegister) newest(ctx context.Context, prefix string) (s lockState, err error) {
	var made time.Time
	query := `select name, toDateTime64(metadata_modification_time, 3, 'UTC') from system.tables
		where database = currentDatabase() and startsWith(name, {prefix:String}) order by name desc limit 1`
	if err = r.db.Row(ctx, query, Params{"prefix": prefix}, &s.lock, &made); errors.Is(err, ErrNoRows) {
		return lockState{}, nil
	}
	if err != nil {
		return s, err
	}
	var givenBack uint8
	err = r.db.Row(ctx, "select max(at), max(given_back), any(holder), now64(3, 'UTC') from "+s.lock, nil, &s.signed, &givenBack, &s.holder, &s.now)
	var told *Error
	if errors.As(err, &told) && told.Code == proto.ErrUnknownTable {
		return lockState{lock: s.lock, signed: made, now: made}, nil // a newer one has come
	}
	if s.signed.Before(made) {
		s.signed = made // made, and not signed yet
	}
	s.givenBack = givenBack == 1
	return s, err
}

func (r tableRegister) claim(ctx context.Context, lock, _ string) (bool, error) {
	err := r.db.Exec(ctx, "create table "+lock+` (at DateTime64(3, 'UTC') default now64(3, 'UTC'), holder String, given_back UInt8)
		engine = MergeTree order by at`, nil)
	var told *Error
	if errors.As(err, &told) && told.Code == proto.ErrTableAlreadyExists {
		return false, nil
	}
	return err == nil, err
}

func (r tableRegister) sign(ctx context.Context, lock, holder string, last bool) error {
	return r.db.Exec(ctx, "insert into "+lock+" (holder, given_back) select {holder:String}, {given_back:UInt8}", Params{"holder": holder, "given_back": number(last)})
}

func (r tableRegister) between(ctx context.Context, prefix, after, before string) ([]string, error) {
	return r.db.locksBetween(ctx, "system.tables where database = currentDatabase() and", prefix, after, before)
}

func (r tableRegister) drop(ctx context.Context, lock string) error {
	return r.db.Exec(ctx, "drop table if exists "+lock+" sync", nil)
}

// keeperRegister has a row for each lock in Keeper, which all replicas of a server share: in strict mode a key is inserted once.
type keeperRegister struct{ db *DB }

func (keeperRegister) table() string { return "keeper_locks" }

// makeKeeperRegister makes the table where ClickHouse has a Keeper for it.
func (db *DB) makeKeeperRegister(ctx context.Context) error {
	err := db.Exec(ctx, fmt.Sprintf(`create table if not exists keeper_locks
		(
			name String comment 'lock_, what it is of, and its generation',
			holder String comment 'Who has it',
			at DateTime64(3, 'UTC') comment 'Last sign of life, by the clock of the server that was asked',
			given_back UInt8 comment '1 once the work is done'
		)
		engine = KeeperMap('/%s/locks') primary key name
		comment 'Locks that runs, migrations and changes of the catalog have taken'`, db.database), nil)
	var told *Error
	if errors.As(err, &told) && (told.Code == proto.ErrBadArguments || told.Code == proto.ErrAccessDenied || told.Code == proto.ErrNoElementsInConfig) {
		db.log.Info("ClickHouse makes no table in Keeper, so locks are tables: all services must use this one server", "err", err)
		return nil
	}
	return err
}

func (r keeperRegister) newest(ctx context.Context, prefix string) (s lockState, err error) {
	var givenBack uint8
	query := "select name, holder, at, given_back from keeper_locks where startsWith(name, {prefix:String}) order by name desc limit 1"
	err = again(ctx, func() error {
		return r.db.Row(ctx, query, Params{"prefix": prefix}, &s.lock, &s.holder, &s.signed, &givenBack)
	})
	if errors.Is(err, ErrNoRows) {
		return lockState{}, nil
	}
	s.givenBack = givenBack == 1
	return s, err
}

func (r keeperRegister) claim(ctx context.Context, lock, holder string) (bool, error) {
	query := `insert into keeper_locks (name, holder, at, given_back) select {lock:String}, {holder:String}, now64(3, 'UTC'), 0 settings keeper_map_strict_mode = 1`
	err := again(ctx, func() error { return r.db.Exec(ctx, query, Params{"lock": lock, "holder": holder}) })
	if isTaken(err) {
		return false, nil // perhaps by this claim, of which the answer was lost: see isFree
	}
	return err == nil, err
}

func (r keeperRegister) sign(ctx context.Context, lock, holder string, last bool) error {
	query := "insert into keeper_locks (name, holder, at, given_back) select {lock:String}, {holder:String}, now64(3, 'UTC'), {given_back:UInt8}"
	return again(ctx, func() error {
		return r.db.Exec(ctx, query, Params{"lock": lock, "holder": holder, "given_back": number(last)})
	})
}

func (r keeperRegister) between(ctx context.Context, prefix, after, before string) (names []string, err error) {
	err = again(ctx, func() error {
		names, err = r.db.locksBetween(ctx, "keeper_locks where", prefix, after, before)
		return err
	})
	return names, err
}

func (r keeperRegister) drop(ctx context.Context, lock string) error {
	return again(ctx, func() error {
		return r.db.Exec(ctx, "delete from keeper_locks where name = {lock:String}", Params{"lock": lock})
	})
}

// again asks once more where ClickHouse has lost its connection to Keeper: it makes another one for the next statement.
func again(ctx context.Context, ask func() error) (err error) {
	const times = 20
	for range times {
		var told *Error
		if err = ask(); !errors.As(err, &told) || told.Code != proto.ErrKeeperException || isTaken(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lockPoll):
		}
	}
	return err
}

func isTaken(err error) bool {
	var told *Error
	return errors.As(err, &told) && told.Code == proto.ErrKeeperException && strings.Contains(told.Message, "Node exists")
}

func (db *DB) locksBetween(ctx context.Context, from, prefix, after, before string) (names []string, err error) {
	var rows []struct {
		Name string `ch:"name"`
	}
	query := "select name from " + from + ` startsWith(name, {prefix:String})
		and ({after:String} = '' or name > {after:String}) and ({before:String} = '' or name < {before:String})`
	err = db.Select(ctx, &rows, query, Params{"prefix": prefix, "after": after, "before": before})
	for _, row := range rows {
		names = append(names, row.Name)
	}
	return names, err
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
