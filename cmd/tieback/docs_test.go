package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script returns the indented lines of a section of a page, which people paste.
func script(t *testing.T, page, section string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text2, found := strings.Cut(string(text), "\n"+section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", page, section)
	}
	text2, _, _ = strings.Cut(text2, "\n## ")
	var lines []string
	for line := range strings.Lines(text2) {
		if pasted, indented := strings.CutPrefix(line, "    "); indented {
			lines = append(lines, strings.TrimRight(pasted, "\n"))
		}
	}
	return strings.Join(lines, "\n")
}

// paste runs lines in a shell, in a folder in which bin/tieback is the program, and
// returns what they print. The shell stops at the first that fails.
func (s *running) paste(lines string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	program := fmt.Sprintf("#!/bin/sh\nTIEBACK_DATA=%s %s=1 exec %s \"$@\"\n", s.dataDir, beTieback, os.Args[0])
	if err := os.WriteFile(filepath.Join(dir, "bin", "tieback"), []byte(program), 0o700); err != nil {
		s.t.Fatal(err)
	}
	shell := exec.Command("bash", "-c", "set -euo pipefail\nexport TIEBACK_ADMIN_TOKEN="+adminToken+"\n"+lines)
	shell.Dir, shell.Env = dir, withoutSettings(os.Environ())
	answer, err := shell.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v\n%s\nthe lines:\n%s", err, answer, lines)
	}
	return string(answer)
}

// TestDocumentedCommands pastes the tour of the README and the API section of
// docs/admin.md, line by line, into a shell.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--admin-token", adminToken, "--sql-listen", "127.0.0.1:0")
	host := strings.TrimPrefix(s.address, "http://")
	tour := script(t, "../../README.md", "## A tour in five minutes")
	tour = strings.NewReplacer(
		"make engine build\n", "", "bin/tieback serve\n", "", // they run already
		"localhost:8080", host,
		"curl localhost:8123", "true", // its port is not known here; TestSQLPort asks it
		"NOW=$(date +%s)000", "NOW=$(($(date +%s) - 1))000", // the reader is slower than this test
	).Replace(tour)
	said := s.paste(tour)
	for _, want := range []string{`"actionId":"23823940"`, "attributed", "variation_id:       b", "100.00 %"} {
		if !strings.Contains(said, want) {
			t.Errorf("the tour does not show %q:\n%s", want, said)
		}
	}
	said = s.paste(strings.ReplaceAll(script(t, "../../docs/admin.md", "## API"), "localhost:8080", host))
	if strings.Contains(said, `"error"`) || !strings.Contains(said, `"goals":[{"eventId":"bought","primary":true,"mde":10}]`) || !strings.Contains(said, `"token":"tb_`) {
		t.Errorf("the calls of docs/admin.md give\n%s", said)
	}
}
