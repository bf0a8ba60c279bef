package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestFullDisk fills the disk under the spool: 503 with Retry-After, and all is well
// by itself when there is room again. It needs root for a small tmpfs.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a full disk needs root, to mount a tmpfs")
	}
	dir := t.TempDir()
	if err := os.MkdirAll(spoolDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", spoolDir(dir)).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: a full disk needs a tmpfs, which can't be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", spoolDir(dir)).Run() })
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, answer := s.post("/event", seedBody("before", time.Minute)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	ballast := filepath.Join(spoolDir(dir), "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte("x"), 19<<20), 0o600); err == nil {
		_ = os.WriteFile(ballast+"2", bytes.Repeat([]byte("x"), 1<<20), 0o600) // to the last byte
	}
	status, answer := 0, ""
	for deadline := time.Now().Add(time.Minute); status != 503 && time.Now().Before(deadline); {
		status, answer = s.post("/event", seedBody("full", time.Minute))
	}
	if status != 503 || !strings.Contains(answer, "not_durable") {
		t.Errorf("on a full disk: %d %s", status, answer)
	}
	if said := ""; !becomes(time.Minute, func() bool { said = s.get("/readyz"); return strings.Contains(said, "events are refused: the disk") }) {
		t.Errorf("on a full disk /readyz says %q", said)
	}
	_ = os.Remove(ballast)
	_ = os.Remove(ballast + "2")
	for deadline := time.Now().Add(time.Minute); status != 200 && time.Now().Before(deadline); {
		status, answer = s.post("/event", seedBody("after", time.Minute))
	}
	if status != 200 {
		t.Errorf("with room again: %d %s", status, answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	got := must(t, dir, "sql", "select countIf(action_id = 'before'), countIf(action_id = 'after') from conversions", "--format", "TSV")
	if got != "1\t1" {
		t.Errorf("before and after: %q", got)
	}
	s.stop()
}

// TestFsyncComesBeforeTheAnswer watches the system calls of a service that accepts
// one event.
func TestFsyncComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("NOT TESTED: that fsync returns before 200 leaves needs strace")
	}
	dir := t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, _ := s.post("/event", seedBody("0", time.Minute)); status != 200 { // the segment is open now
		t.Fatal("no event is accepted")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	watch := exec.Command(strace, "-f", "-y", "-s", "64", "-e", "trace=fdatasync,pwrite64,write", "-o", trace, "-p", strconv.Itoa(s.cmd.Process.Pid))
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Process.Kill() }()
	var text []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && bytes.Count(text, []byte("HTTP/1.1 200")) < 5; {
		if status, _ := s.post("/event", seedBody("1", time.Minute)); status != 200 {
			t.Fatal("no event is accepted")
		}
		text, _ = os.ReadFile(trace)
	}
	if len(text) == 0 {
		t.Skip("NOT TESTED: strace may not attach here")
	}
	_ = watch.Process.Signal(os.Interrupt)
	_ = watch.Wait()
	if text, err = os.ReadFile(trace); err != nil {
		t.Fatal(err)
	}
	synced := regexp.MustCompile(`fdatasync\([^)]*\.seg[^)]*\) += 0|fdatasync resumed>\) += 0`)
	written, durable, answers := false, false, 0
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.Contains(line, "pwrite64(") && strings.Contains(line, ".seg>"):
			written, durable = true, false
		case synced.MatchString(line):
			durable = true
		case strings.Contains(line, "HTTP/1.1 200"):
			if written && !durable {
				t.Errorf("a 200 left before the fsync returned:\n%s", text)
			}
			answers++
		}
	}
	if !written || answers == 0 {
		t.Errorf("the trace shows no event being accepted:\n%.2000s", text)
	}
	s.stop()
}
