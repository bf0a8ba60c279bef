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

// Locks of a ClickHouse server, which several hosts may share. Each holder makes a lock of a name with
// the next generation, lock_NAME_GENERATION, in the [register], which has a name once, so of several that try one has
// it. The one of the highest generation is the lock; it has the signs of life of its
// holder, and says whether it was given back. A holder that gives no sign for lockExpiry is taken for dead, and the next
// generation may be made.
//
// Why two never work at once: a holder's statements bear its name in their ids, so the next one
// ends those of a holder taken for dead and waits until none is left. A holder that lives learns of
// it with its next sign of life and ends its Context; when it could give none for two thirds of that
// time, which is before others may take over, it sends no statement any more: also if it stood still
// meanwhile, and has not found out yet. What is left is a statement that was under
// way through a network that was cut for longer, or at another replica: one with the Fence does nothing then, and only
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
	register
	db     *DB
	prefix string
	holder string                    // part of the ids of all its statements
	name   string                    // once it is held
	signed atomic.Pointer[time.Time] // when it gave the last sign of life

	seen   lockState // of the holder that is waited for
	seenAt time.Time
}

func (db *DB) lockServer(ctx context.Context, name string, least uint64, waiting func()) (*Held, error) {
	l := &serverLock{db: db, prefix: "lock_" + name + "_", holder: uuid.NewString()}
	for first := true; ; first = false {
		generation, err := l.try(ctx, least)
		if err != nil && (first || !isAway(err)) { // one that is waited for may be away for a while
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

// isAway reports whether ClickHouse, or its Keeper, does not answer now.
func isAway(err error) bool {
	var told *Error
	return errors.Is(err, ErrAway) || errors.As(err, &told) && told.Code == proto.ErrKeeperException
}

// try makes the next generation if nobody holds the lock; 0 if somebody does.
func (l *serverLock) try(ctx context.Context, least uint64) (generation uint64, err error) {
	if l.register, err = l.db.register(ctx); err != nil {
		return 0, err
	}
	asked := time.Now()
	before, err := l.newest(ctx, l.prefix)
	if err != nil || !l.isFree(before, asked) {
		return 0, err
	}
	if before.lock != "" {
		if generation, err = strconv.ParseUint(strings.TrimPrefix(before.lock, l.prefix), 10, 64); err != nil {
			return 0, fmt.Errorf("%s is no lock of Tieback's", before.lock)
		}
	}
	generation = max(generation+1, least)
	name := fmt.Sprintf("%s%020d", l.prefix, generation) // they sort as their numbers do
	claimed, err := l.claim(ctx, name, l.holder)
	if err != nil || !claimed {
		return 0, err // or somebody was faster
	}
	l.name = name
	if err = l.enter(ctx, before); err != nil {
		err = errors.Join(err, l.drop(context.WithoutCancel(ctx), name))
		if errors.Is(err, errOutdone) {
			err = nil
		}
		return 0, err
	}
	l.forget(ctx)
	return generation, nil
}

var errOutdone = errors.New("another lock was made at the same time")

// enter makes sure that the claim is the only one since before, and ends what is left of a holder that died.
func (l *serverLock) enter(ctx context.Context, before lockState) error {
	// Others may have made one since newest looked: a higher one, or, asking for less, a lower one.
	lower, err := l.between(ctx, l.prefix, before.lock, l.name)
	if err == nil && len(lower) > 0 {
		err = errOutdone
	}
	if err == nil {
		err = l.goOn(ctx)
	}
	if err != nil || before.holder == "" || before.givenBack {
		return err
	}
	if err := l.db.endStatements(ctx, before.holder); err != nil {
		return err
	}
	if l.prefix == "lock_run_" || l.prefix == "lock_migrate_" { // other work is done at home
		l.db.LookAgain() // a replica may have died with it
		err := l.db.OnShards(ctx, func(ctx context.Context, shard *DB) error { return shard.endStatements(ctx, before.holder) })
		if err != nil {
			return err
		}
	}
	return l.goOn(ctx) // that may have taken long
}

// goOn gives a sign of life, unless there is a later holder.
func (l *serverLock) goOn(ctx context.Context) error {
	outdone, err := l.isOutdone(ctx)
	if err != nil {
		return err
	}
	if outdone {
		return errOutdone
	}
	began := time.Now()
	if err := l.sign(ctx, l.name, l.holder, false); err != nil {
		return err
	}
	l.signed.Store(&began)
	return nil
}

// isFree reports whether a lock may be taken over, by what ClickHouse answered to a question that was asked at a moment. Where the clocks of several servers
// may have signed it, that it is not signed any more must be seen. The answer says nothing of what came after the question: whoever asked may have stood still since.
func (l *serverLock) isFree(s lockState, asked time.Time) bool {
	switch {
	case s.lock == "" || s.givenBack, s.holder == l.holder: // a claim whose answer was lost
		return true
	case !s.now.IsZero():
		return s.now.Sub(s.signed) > l.db.lockExpiry
	}
	if l.seen.lock != s.lock || !l.seen.signed.Equal(s.signed) {
		l.seen, l.seenAt = s, time.Now()
	}
	return asked.Sub(l.seenAt) > l.db.lockExpiry
}

// isOutdone reports whether there is a later holder.
func (l *serverLock) isOutdone(ctx context.Context) (bool, error) {
	later, err := l.between(ctx, l.prefix, l.name, "")
	return len(later) > 0, err
}

// forget drops what former holders have left. What stays does no harm.
func (l *serverLock) forget(ctx context.Context) {
	former, _ := l.between(ctx, l.prefix, "", l.name)
	for _, lock := range former {
		_ = l.drop(ctx, lock)
	}
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
		Context: held, Generation: generation, Fence: l.name, Register: l.table(), check: l.check,
		stop: sync.OnceFunc(func() {
			close(stop)
			beating.Wait()
		}),
		giveBack: sync.OnceFunc(func() {
			lose(nil)
			// Without an answer it expires.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.db.lockBeat())
			defer cancel()
			_ = l.sign(last, l.name, l.holder, true)
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
		err := l.goOn(beat)
		cancel()
		switch {
		case errors.Is(err, errOutdone):
			lose(ErrLockLost)
			return
		case err == nil:
		case time.Since(signed) >= l.db.lockSilence():
			lose(fmt.Errorf("%w: ClickHouse gave no answer for %s (%w)", ErrLockLost, l.db.lockSilence(), err))
			return
		}
	}
}
