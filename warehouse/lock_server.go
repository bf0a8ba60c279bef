package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

// Locks of a ClickHouse server, which several hosts may share. Each holder makes a table,
// lock_NAME_GENERATION: ClickHouse makes a table of a name once, so of several that try one has
// it. The table of the highest generation is the lock; it holds a row for each sign of life of its
// holder, and one that says that it was given back. A holder that gives no sign for lockExpiry, by
// ClickHouse's clock, is taken for dead, and the next generation may be made.
//
// Why two never work at once: a holder's statements bear its name in their ids, so the next one
// ends those of a holder taken for dead and waits until none is left. A holder that lives learns of
// it with its next sign of life and ends its Context; when it could give none for two thirds of that
// time, which is before others may take over, it sends no statement any more: also if it stood still
// meanwhile, and has not found out yet. What is left is a statement that was under
// way through a network that was cut for longer: one with the Fence does nothing then, and only
// those publish. One that writes to the working set of the next run is what that run's checks are for.
const lockExpiry = 30 * time.Second

// lockSilence is after what silence a holder gives up by itself.
func (db *DB) lockSilence() time.Duration { return db.lockExpiry * 2 / 3 }

// lockBeat is how often a holder gives a sign of life.
func (db *DB) lockBeat() time.Duration { return db.lockExpiry / 6 }

const lockPoll = 200 * time.Millisecond

// ErrLockLost says that another process has taken a lock over.
var ErrLockLost = errors.New("another process has taken over, or may, since this one gave no sign of life")

// serverLock is a lock in the making, and held.
type serverLock struct {
	db     *DB
	name   string
	holder string                    // part of the ids of all its statements
	table  string                    // once it is held
	signed atomic.Pointer[time.Time] // when it gave the last sign of life
}

func lockPrefix(name string) string { return "lock_" + name + "_" }

func lockTable(name string, generation uint64) string {
	return fmt.Sprintf("%s%020d", lockPrefix(name), generation) // they sort as their numbers do
}

func (db *DB) lockServer(ctx context.Context, name string, least uint64, waiting func()) (*Held, error) {
	l := &serverLock{db: db, name: name, holder: uuid.NewString()}
	for first := true; ; first = false {
		generation, err := l.try(ctx, least)
		if err != nil && (first || !errors.Is(err, ErrAway)) { // one that is waited for may be away for a while
			return nil, fmt.Errorf("take the %s lock: %w", name, err)
		}
		if generation > 0 {
			return l.hold(ctx, generation), nil
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the %s lock: %w", name, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// try makes the next generation if nobody holds the lock; 0 if somebody does.
func (l *serverLock) try(ctx context.Context, least uint64) (generation uint64, err error) {
	before, err := l.newest(ctx)
	if err != nil {
		return 0, err
	}
	if !before.free {
		return 0, nil
	}
	generation = max(before.generation+1, least)
	table := lockTable(l.name, generation)
	err = l.db.Exec(ctx, "create table "+table+` (at DateTime64(3, 'UTC') default now64(3, 'UTC'), holder String, given_back UInt8)
		engine = MergeTree order by at`, nil)
	var told *Error
	if errors.As(err, &told) && told.Code == proto.ErrTableAlreadyExists {
		return 0, nil // somebody was faster
	}
	if err != nil {
		return 0, err
	}
	l.table = table
	// Others may have made one since newest looked: a higher one, or, asking for less, a lower one.
	newer, err := l.isOutdone(ctx)
	if err == nil && !newer {
		newer, err = l.hasBetween(ctx, before.table)
	}
	if err == nil && !newer {
		err = l.sign(ctx, false)
	}
	if err == nil && !newer && before.holder != "" {
		if err = l.db.endStatements(ctx, before.holder); err == nil { // which may have taken long
			newer, err = l.isOutdone(ctx)
		}
		if err == nil && !newer {
			err = l.sign(ctx, false)
		}
	}
	if err != nil || newer {
		return 0, errors.Join(err, l.db.Exec(context.WithoutCancel(ctx), "drop table if exists "+table+" sync", nil))
	}
	l.forget(ctx)
	return generation, nil
}

// lockState is the newest holder of a lock.
type lockState struct {
	table      string // empty for none
	generation uint64
	free       bool
	holder     string // of a lock that was not given back: it may still be at work
}

func (l *serverLock) newest(ctx context.Context) (state lockState, err error) {
	var table string
	var made time.Time
	query := `select name, toDateTime64(metadata_modification_time, 3, 'UTC') from system.tables
		where database = currentDatabase() and startsWith(name, {prefix:String}) order by name desc limit 1`
	err = l.db.Row(ctx, query, Params{"prefix": lockPrefix(l.name)}, &table, &made)
	if errors.Is(err, ErrNoRows) {
		return lockState{free: true}, nil
	}
	if err != nil {
		return state, err
	}
	state.table = table
	if state.generation, err = strconv.ParseUint(strings.TrimPrefix(table, lockPrefix(l.name)), 10, 64); err != nil {
		return state, fmt.Errorf("the table %s is no lock of Tieback's", table)
	}
	var signed, now time.Time
	var givenBack uint8
	err = l.db.Row(ctx, "select max(at), max(given_back), any(holder), now64(3, 'UTC') from "+table, nil, &signed, &givenBack, &state.holder, &now)
	var told *Error
	if errors.As(err, &told) && told.Code == proto.ErrUnknownTable {
		return state, nil // a newer one has come
	}
	if signed.Before(made) {
		signed = made // made, and not signed yet
	}
	if givenBack == 1 {
		state.holder = ""
	}
	state.free = givenBack == 1 || now.Sub(signed) > l.db.lockExpiry
	return state, err
}

// sign gives a sign of life, or the last one.
func (l *serverLock) sign(ctx context.Context, last bool) error {
	givenBack, began := 0, time.Now()
	if last {
		givenBack = 1
	}
	err := l.db.Exec(ctx, "insert into "+l.table+" (holder, given_back) select {holder:String}, {given_back:UInt8}", Params{"holder": l.holder, "given_back": givenBack})
	if err == nil {
		l.signed.Store(&began)
	}
	return err
}

// isOutdone reports whether there is a later holder.
func (l *serverLock) isOutdone(ctx context.Context) (bool, error) {
	var later uint64
	query := "select count() from system.tables where database = currentDatabase() and startsWith(name, {prefix:String}) and name > {table:String}"
	err := l.db.Row(ctx, query, Params{"prefix": lockPrefix(l.name), "table": l.table}, &later)
	return later > 0, err
}

// forget drops the tables of former holders. Those that stay do no harm.
func (l *serverLock) forget(ctx context.Context) {
	var former []struct {
		Name string `ch:"name"`
	}
	query := "select name from system.tables where database = currentDatabase() and startsWith(name, {prefix:String}) and name < {table:String}"
	_ = l.db.Select(ctx, &former, query, Params{"prefix": lockPrefix(l.name), "table": l.table})
	for _, table := range former {
		_ = l.db.Exec(ctx, "drop table if exists "+table.Name+" sync", nil)
	}
}

// hasBetween reports whether there is a holder after that table and before this one.
func (l *serverLock) hasBetween(ctx context.Context, table string) (bool, error) {
	var between uint64
	query := `select count() from system.tables where database = currentDatabase() and startsWith(name, {prefix:String})
		and name > {former:String} and name < {table:String}`
	err := l.db.Row(ctx, query, Params{"prefix": lockPrefix(l.name), "former": table, "table": l.table}, &between)
	return between > 0, err
}

func (l *serverLock) check(ctx context.Context) error {
	outdone, err := l.isOutdone(ctx)
	if err == nil && outdone {
		err = ErrLockLost
	}
	return err
}

// hold gives signs of life until the lock is released or lost.
func (l *serverLock) hold(ctx context.Context, generation uint64) *Held {
	ended := func() bool { return time.Since(*l.signed.Load()) >= l.db.lockSilence() }
	held, lose := context.WithCancelCause(withWork(ctx, work{l.holder + ".", ended}))
	stop := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { l.beat(context.WithoutCancel(ctx), stop, lose) })
	return &Held{
		Context: held, Generation: generation, Fence: l.table, check: l.check,
		stop: sync.OnceFunc(func() {
			close(stop)
			beating.Wait()
		}),
		giveBack: sync.OnceFunc(func() {
			lose(nil)
			// Without an answer it expires.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.db.lockBeat())
			defer cancel()
			_ = l.sign(last, true)
		}),
	}
}

func (l *serverLock) beat(ctx context.Context, stop <-chan struct{}, lose context.CancelCauseFunc) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(l.db.lockBeat()):
		}
		signed := *l.signed.Load()
		beat, cancel := context.WithDeadline(ctx, signed.Add(l.db.lockSilence()))
		outdone, err := l.isOutdone(beat)
		if err == nil && !outdone {
			err = l.sign(beat, false)
		}
		cancel()
		switch {
		case outdone:
			lose(ErrLockLost)
			return
		case err == nil:
		case time.Since(signed) >= l.db.lockSilence():
			lose(fmt.Errorf("%w: ClickHouse gave no answer for %s (%w)", ErrLockLost, l.db.lockSilence(), err))
			return
		}
	}
}
