package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// engineStatus returns a figure of /proc/PID/status of the engine, in bytes; 0 when it
// can't be read.
func (s *site) engineStatus(field string) uint64 {
	lock, err := os.ReadFile(filepath.Join(s.dir, "engine.lock"))
	if err != nil {
		return 0
	}
	var pid int
	if _, err := fmt.Sscan(string(lock), &pid); err != nil {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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

// resetPeak begins to watch the engine's memory, and returns what it holds now.
func (s *site) resetPeak() (now uint64) {
	lock, err := os.ReadFile(filepath.Join(s.dir, "engine.lock"))
	if err == nil {
		var pid int
		_, _ = fmt.Sscan(string(lock), &pid)
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600)
	}
	return s.engineStatus("VmRSS")
}

// peak is the most that the engine has held since.
func (s *site) peak() uint64 { return s.engineStatus("VmHWM") }
