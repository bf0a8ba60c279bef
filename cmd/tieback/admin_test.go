package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// asAdmin asks for a path of the service with the admin token.
func (s *running) asAdmin(method, path, body string) (status int, answer string) {
	s.t.Helper()
	return s.ask(method, path, body, "Bearer "+adminToken)
}

// TestAdminOutlivesTheEngine kills the engine under the page: it says so, and works again
// by itself.
func TestAdminOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serveAdmin(t, dir)
	if status, answer := s.asAdmin("PUT", "/admin/api/accounts/c1", `{"origins":[]}`); status != 200 {
		t.Fatal(answer)
	}
	if err := syscall.Kill(enginePID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		status, answer := s.asAdmin("GET", "/admin/accounts/c1/conversions", "")
		if status == 200 {
			break
		}
		if status != 503 || !strings.Contains(answer, "ClickHouse does not answer now") || time.Now().After(deadline) {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if status, answer := s.asAdmin("POST", "/admin/api/accounts/c1/tokens", `{"name":"crm"}`); status != 201 {
		t.Errorf("%d %s", status, answer)
	}
	s.stop()
}

// TestNoAdminWithoutToken: the page is off unless asked for, and says how to.
func TestNoAdminWithoutToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	for _, path := range []string{"/admin", "/admin/", "/admin/api/accounts"} {
		if status, answer := s.asAdmin("GET", path, ""); status != 404 || path != "/admin/api/accounts" && !strings.Contains(answer, "TIEBACK_ADMIN_TOKEN") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	s.stop()
	if _, stderr, code := tieback(t, dir, "", "serve", "--admin-token", "short"); code != 2 || !strings.Contains(stderr, "at least 16") {
		t.Errorf("%d %s", code, stderr)
	}
}
