package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// memory watches what the engine holds during the steps of a run, in bytes above what it
// held before.
type memory struct {
	dir   string // of the data
	idle  uint64
	step  string
	peaks map[string]uint64
}

// begin begins to watch a run.
func (m *memory) begin() {
	m.peaks = map[string]uint64{}
	m.step = ""
	m.idle = m.status("VmRSS")
	m.forget()
}

// next says that a step begins and another one has ended.
func (m *memory) next(step string) {
	held := m.status("VmHWM")
	m.peaks[m.step] = max(m.peaks[m.step], held-min(held, m.idle))
	m.step = step
	m.forget()
}

// of returns the most that was held during a step, 0 for one that was not watched.
func (m *memory) of(step string) uint64 { return m.peaks[step] }

// peak returns the most that was held during the run.
func (m *memory) peak() (most uint64) {
	for _, held := range m.peaks {
		most = max(most, held)
	}
	return most
}

// process returns a path under /proc of the engine.
func (m *memory) process(name string) string {
	lock, _ := os.ReadFile(filepath.Join(m.dir, "engine.lock"))
	return filepath.Join("/proc", strings.TrimSpace(string(lock)), name)
}

// status returns a figure of the engine's /proc status; 0 when it can't be read.
func (m *memory) status(field string) uint64 {
	status, err := os.ReadFile(m.process("status"))
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
func (m *memory) forget() { _ = os.WriteFile(m.process("clear_refs"), []byte("5"), 0o600) }
