package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tieback/tieback/warehouse"
)

// watch is what the engine holds, in bytes above what it held before, and how many rows it
// reads during the steps of a run. Of steps that run at once it says what they need
// together, under the one that began last.
type watch struct {
	dir   string // of the data
	db    *warehouse.DB
	idle  uint64
	rows  uint64 // read before the step
	step  string
	peaks map[string]uint64
	reads map[string]uint64
}

// begin begins to watch a run.
func (w *watch) begin(ctx context.Context) {
	w.peaks, w.reads = map[string]uint64{}, map[string]uint64{}
	w.step = ""
	w.idle = w.status("VmRSS")
	w.rows = w.selected(ctx)
	w.forget()
}

// next says that a step begins and another one has ended.
func (w *watch) next(ctx context.Context, step string) {
	held := w.status("VmHWM")
	w.peaks[w.step] = max(w.peaks[w.step], held-min(held, w.idle))
	rows := w.selected(ctx)
	w.reads[w.step] += rows - min(rows, w.rows)
	w.step, w.rows = step, rows
	w.forget()
}

// selected returns how many rows of tables the engine has read since its start.
func (w *watch) selected(ctx context.Context) (rows uint64) {
	_ = w.db.Row(ctx, "select value from system.events where event = 'SelectedRows'", nil, &rows)
	return rows
}

// read returns how many rows were read during a step and what was asked before the next.
func (w *watch) read(step string) uint64 { return w.reads[step] }

// of returns the most that was held during a step, 0 for one that was not watched.
func (w *watch) of(step string) uint64 { return w.peaks[step] }

// peak returns the most that was held during the run.
func (w *watch) peak() (most uint64) {
	for _, held := range w.peaks {
		most = max(most, held)
	}
	return most
}

// process returns a path under /proc of the engine.
func (w *watch) process(name string) string {
	lock, _ := os.ReadFile(filepath.Join(w.dir, "engine.lock"))
	return filepath.Join("/proc", strings.TrimSpace(string(lock)), name)
}

// status returns a figure of the engine's /proc status; 0 when it can't be read.
func (w *watch) status(field string) uint64 {
	status, err := os.ReadFile(w.process("status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, field+":"); ok {
			var kilobytes uint64
			_, _ = fmt.Sscan(text, &kilobytes)
			return kilobytes << 10
		}
	}
	return 0
}

// forget lets the peak begin anew.
func (w *watch) forget() { _ = os.WriteFile(w.process("clear_refs"), []byte("5"), 0o600) }
