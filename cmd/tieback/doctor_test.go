package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
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
	if code != 1 || !strings.Contains(stderr, "2 of 9 checks failed") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	stdout, _, code = tieback(t, dir, "", "doctor", "--clickhouse", "http://127.0.0.1:1")
	if code != 1 || !strings.Contains(stdout, "BAD  ClickHouse   ClickHouse at 127.0.0.1:1 does not answer") {
		t.Errorf("without a server: exit %d\n%s", code, stdout)
	}
}
