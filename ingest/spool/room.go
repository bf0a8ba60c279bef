package spool

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// room watches the space on the disk, so that the spool stops accepting before
// ClickHouse beside it, or the fsync of the cursor, runs out of it.
type room struct {
	dir   string
	least int64 // bytes that must stay free, 0 for the default

	mu      sync.Mutex
	checked time.Time
	err     error
}

const (
	roomInterval = 100 * time.Millisecond
	mostReserved = 256 << 20
)

// check returns an error that is ErrFull while there is too little room.
func (r *room) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.checked) < roomInterval {
		return r.err
	}
	r.checked = time.Now()
	r.err = nil
	free, least, err := r.free()
	if err != nil {
		return nil // the write itself will tell
	}
	if free < least {
		r.err = fmt.Errorf("%w: %d MB are free, %d MB are kept free; make room, it goes on by itself", ErrFull, free>>20, least>>20)
	}
	return r.err
}

// free returns how many bytes are free and how many must be.
func (r *room) free() (free, least int64, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(r.dir, &disk); err != nil {
		return 0, 0, err
	}
	free, size := int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
	if r.least > 0 {
		return free, r.least, nil
	}
	return free, min(size/20, mostReserved), nil
}

// ample reports whether bytes more leave enough free.
func (r *room) ample(bytes int64) bool {
	free, least, err := r.free()
	return err == nil && free-bytes >= least
}
