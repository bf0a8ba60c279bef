package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stdout, _, code := tieback(t, dir, "", "doctor")
	if code != 1 || !strings.Contains(stdout, "BAD  schema") || strings.Count(stdout, "BAD") != 1 {
		t.Errorf("of an empty folder: exit %d\n%s", code, stdout)
	}
	must(t, dir, "migrate")
	if got := must(t, dir, "doctor"); strings.Contains(got, "BAD") || !strings.Contains(got, "none yet; `tieback serve` makes one") {
		t.Errorf("of a new folder:\n%s", got)
	}
	must(t, dir, "run", "--cutoff", "2026-01-02T00:00:00Z")
	if err := os.WriteFile(filepath.Join(dir, backupLetters), []byte(`{"at":"2026-01-01T00:00:00Z","table":"conversions","reason":"bad","row":{}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := tieback(t, dir, "", "doctor")
	for _, want := range []string{"BAD  last run     published up to 2026-01-02", "BAD  dead letters 1 rows", "ok   spool", "ok   disk"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("nothing says %q:\n%s", want, stdout)
		}
	}
	if code != 1 || !strings.Contains(stderr, "2 of 14 checks failed") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	stdout, _, code = tieback(t, dir, "", "doctor", "--clickhouse", "http://127.0.0.1:1")
	if code != 1 || !strings.Contains(stdout, "BAD  ClickHouse   ClickHouse at 127.0.0.1:1 does not answer") {
		t.Errorf("without a server: exit %d\n%s", code, stdout)
	}
}

// TestDoctorFlagsWhatComesIn: a user id of very many visitors, browser events that are dropped, and
// conversions under names that no event bears. They are warnings: Tieback works.
func TestDoctorFlagsWhatComesIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--note-every", "100ms")
	s.token = configure(t, dir)
	now := time.Now().UnixMilli()
	for visitor := range 60 {
		status, answer := s.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":"v%[1]d","sentAt":%[2]d,"events":[
			{"type":"identify","userDomain":"crm","userId":"office ","occurredAt":%[2]d},{"type":"identify","userDomain":"crm","userId":"undefined","occurredAt":%[2]d}]}`, visitor, now))
		if status != 204 {
			t.Fatal(answer)
		}
	}
	for id := range 3 {
		if status, answer := s.post("/event", strings.Replace(seedBody(fmt.Sprint(id), 0), "application-accepted", "Application Accepted", 1)); status != 200 || !strings.Contains(answer, "event_not_defined") {
			t.Fatal(status, answer)
		}
	}
	undecided := `WARN event names  account "123456789": 3 conversions under the name "Application Accepted"`
	if !becomes(time.Minute, func() bool { return strings.Contains(must(t, dir, "doctor"), undecided) }) {
		t.Errorf("nothing says %q before a run:\n%s", undecided, must(t, dir, "doctor"))
	}
	must(t, dir, "run", "--cutoff", "now")
	var stdout string
	if !becomes(time.Minute, func() bool {
		stdout = must(t, dir, "doctor")
		return strings.Contains(stdout, "60 browser events (placeholder)")
	}) {
		t.Errorf("nothing says what was dropped:\n%s", stdout)
	}
	for _, want := range []string{`WARN user ids     account "123456789": 60 visitors are the user ("crm", "office ")`, `WARN event names  account "123456789": 3 conversions under the name "Application Accepted"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("nothing says %q:\n%s", want, stdout)
		}
	}
	s.stop()
}

func TestEventAddWarnsOfNearNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "event", "add", "c", "application-accepted", "--id", "e1")
	for _, c := range []struct{ name, says string }{
		{"Application Accepted", `another event is called "application-accepted"`}, {"sold ", "begins or ends with white space"}, {"bought", ""},
	} {
		stdout, stderr, code := tieback(t, dir, "", "event", "add", "c", c.name)
		if code != 0 || !strings.HasPrefix(stdout, "evt_") || strings.Count(stdout, "\n") != 1 || (c.says == "") != (stderr == "") || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, %q, %q", c.name, code, stdout, stderr)
		}
	}
}

// TestFolderOfAnotherUser: what root makes in it, its user could not open.
func TestFolderOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"event", "add", "c1", "bought"}, {"serve"}, {"run"}, {"migrate"}} {
		if _, said, code := tieback(t, dir, "", args...); code != 1 || !strings.Contains(said, "belongs to the user nobody: run this as that user") {
			t.Errorf("%v: exit %d\n%s", args, code, said)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files were left: %v %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "catalog.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, _, code := tieback(t, dir, "", "doctor"); code != 1 || !strings.Contains(said, "catalog.lock belongs to the user root, the data folder to nobody") {
		t.Errorf("doctor: exit %d\n%s", code, said)
	}
}
