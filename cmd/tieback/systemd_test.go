package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// TestSystemdIsNotified: a service of Type=notify says when it accepts, and when it stops.
func TestSystemdIsNotified(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	s := serveWith(t, t.TempDir(), func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path) })
	received := func() string {
		text := make([]byte, 100)
		_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := socket.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	if got := received(); got != "READY=1" {
		t.Errorf("at its start it says %s", got)
	}
	s.stop()
	if got := received(); got != "STOPPING=1" {
		t.Errorf("at its end it says %s", got)
	}
}

// TestUnitIsHardened has systemd look at the unit.
func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	said, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "../../docs/tieback.service").CombinedOutput()
	found := regexp.MustCompile(`exposure level for tieback.service: ([0-9.]+)`).FindSubmatch(said)
	if found == nil {
		t.Skipf("systemd-analyze does not look at files here: %v %.200s", err, said)
	}
	if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level >= 3 {
		t.Errorf("the unit is exposed by %s of 10", found[1])
	}
}
