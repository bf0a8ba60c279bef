package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// machineMemory is how much this machine has, or the container that the program runs in; 0
// where that is not given.
func machineMemory() (bytes uint64) {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		bytes = uint64(info.Totalram) * uint64(info.Unit)
	}
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(limit)
		if err != nil {
			continue
		}
		if most, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && (bytes == 0 || most < bytes) {
			bytes = most
		}
	}
	return bytes
}
