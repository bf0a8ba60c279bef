package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"

	"github.com/tieback/tieback/human"
)

// Held is a lock that this process holds.
type Held struct {
	// Context ends when the lock is lost; then nothing more may be done under it.
	Context context.Context
	// Generation is larger than that of every holder before, and no other has it. It is 0 with
	// the embedded engine, whose locks are files.
	Generation uint64
	// Fence is the name of the lock in the table Register, for statements that must do nothing once it is lost:
	// the names that sort after it, and begin like it, are of later holders. It is empty with the embedded engine.
	Fence    string
	Register string

	giveBack func()                      // says that the work is done
	stop     func()                      // ends the signs of life; nil where there are none
	check    func(context.Context) error // nil where the lock can't be lost
}

// Check asks ClickHouse whether the lock is still held.
func (h *Held) Check(ctx context.Context) error {
	if h.check == nil {
		return nil
	}
	return h.check(ctx)
}

// Release gives the lock back.
func (h *Held) Release() {
	if h.stop != nil {
		h.stop()
	}
	h.giveBack()
}

// Lost returns why the lock is no longer held, nil while it is.
func (h *Held) Lost() error {
	if h.Context.Err() == nil {
		return nil
	}
	return context.Cause(h.Context)
}

// Lock takes the lock called name, for work that only one process may do at a time: on one data
// folder with the embedded engine, on one ClickHouse with a server. It waits for the holder;
// waiting is called once if there is one. The generation will be least or more.
func (db *DB) Lock(ctx context.Context, name string, least uint64, waiting func()) (*Held, error) {
	if db.engine == nil {
		return db.lockServer(ctx, name, least, waiting)
	}
	return db.lockFile(ctx, name, waiting)
}

// lockFile takes a lock of the data folder. The kernel gives it back when the holder dies.
func (db *DB) lockFile(ctx context.Context, name string, waiting func()) (*Held, error) {
	if db.database != DefaultDatabase {
		name = db.database + "." + name // what is done in one database does not concern the others, which tests have
	}
	file, err := os.OpenFile(filepath.Join(db.dataDir, name+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the %s lock: %w", name, human.Permission(err))
	}
	for first := true; ; first = false {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return db.holdFile(ctx, file)
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("take the %s lock: %w", name, err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the %s lock: %w", name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// holdFile ends what a holder that was killed has left under way: the file has the name that its
// statements bear in their ids, and is empty once it was given back.
func (db *DB) holdFile(ctx context.Context, file *os.File) (*Held, error) {
	before, err := io.ReadAll(file)
	if err == nil && len(before) > 0 {
		err = db.endStatements(ctx, string(before))
	}
	holder := uuid.NewString() + "."
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(holder), 0)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("take the lock %s: %w", file.Name(), err)
	}
	return &Held{Context: withWork(ctx, work{holder: holder}), Register: tableRegister{}.table(), giveBack: func() {
		_ = file.Truncate(0)
		file.Close()
	}}, nil
}

// endStatements ends the statements of a holder that is dead, or taken for it, and waits for
// their ends.
func (db *DB) endStatements(ctx context.Context, holder string) error {
	err := db.Exec(ctx, "kill query where startsWith(query_id, {holder:String}) sync", Params{"holder": holder})
	var told *Error
	if errors.As(err, &told) && told.Code == proto.ErrAccessDenied {
		db.log.Warn("statements of a process that died can't be ended: let ClickHouse's user see its own, by GRANT SELECT ON system.processes", "err", err)
		return nil
	}
	return err
}
