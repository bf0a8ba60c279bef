package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hashes returns what every table holds, as one line each.
func hashes(t *testing.T, dir string) string {
	t.Helper()
	tables := must(t, dir, "sql", `select name from system.tables where database = 'tieback' and name not in ('service_minutes', 'schema_migrations')
		and create_table_query not like '%{%:%}%' order by name`, "--format", "TSV")
	var each []string
	for _, table := range strings.Fields(tables) {
		each = append(each, "select '"+table+"' as name, count(), sum(cityHash64(*)) from "+table)
	}
	return must(t, dir, "sql", "select * from ("+strings.Join(each, " union all ")+") order by name", "--format", "TSV")
}

// onlyForTheOwner fails for files and folders that other users can read.
func onlyForTheOwner(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %s", path, info.Mode().Perm())
			return fs.SkipAll
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A backup that was made while a service runs, restored into an empty folder, is
// the original table by table, and works on.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, backup, restored := t.TempDir(), filepath.Join(t.TempDir(), "it's a backup"), t.TempDir()
	s := serve(t, dir)
	s.token = configure(t, dir)
	if status, answer := s.post("/collect", viewBody(10*time.Minute)); status != 204 {
		t.Fatal(answer)
	}
	if status, answer := s.post("/event", seedBody("1", 5*time.Minute)); status != 200 {
		t.Fatal(answer)
	}
	must(t, dir, "run", "--cutoff", "now")
	if err := os.WriteFile(filepath.Join(dir, backupLetters), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, answer := s.post("/event", seedBody("2", 4*time.Minute)); status != 200 { // just accepted
		t.Fatal(answer)
	}
	must(t, dir, "backup", backup)
	s.stop()
	want := hashes(t, dir)
	must(t, restored, "restore", backup)
	if got := hashes(t, restored); got != want || !strings.Contains(got, "attributions\t1\t") || !strings.Contains(got, "conversions\t2\t") {
		t.Errorf("restored\n%s\nbacked up\n%s", got, want)
	}
	if letters, err := os.ReadFile(filepath.Join(restored, backupLetters)); err != nil || string(letters) != "{}\n" {
		t.Errorf("dead letters %q, %v", letters, err)
	}
	must(t, restored, "run", "--cutoff", "now")
	if got := must(t, restored, "sql", "select count() from attributions", "--format", "TSV"); got != "2" {
		t.Errorf("after a run on what was restored: %s attributions", got)
	}
	for args, says := range map[string]string{
		"restore " + restored:                      "holds no whole backup",
		"backup " + t.TempDir():                    "a backup goes into a folder of its own",
		"backup /nonexistent/x/y":                  "make the backup's folder",
		"backup x --clickhouse http://127.0.0.1:1": "a server has its own BACKUP",
	} {
		if _, stderr, code := tieback(t, restored, "", strings.Fields(args)...); code == 0 || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit %d, %s", args, code, stderr)
		}
	}
	if _, stderr, code := tieback(t, restored, "", "restore", backup); code == 0 || !strings.Contains(stderr, "restore into an empty one") {
		t.Errorf("restored over data: exit %d, %s", code, stderr)
	}
	// A restore that was cut off leaves a mark, and nothing works on what it left.
	cutOff := t.TempDir()
	if err := os.WriteFile(filepath.Join(cutOff, restoreMark), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"run"}, {"migrate"}, {"serve", "--listen", "127.0.0.1:0"}, {"restore", backup}} {
		if _, stderr, code := tieback(t, cutOff, "", args...); code != 1 || !strings.Contains(stderr, "delete the folder and restore again") {
			t.Errorf("%s after a restore that was cut off: exit %d, %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(restored, restoreMark)); err == nil {
		t.Error("a whole restore leaves its mark")
	}
	onlyForTheOwner(t, dir)
	onlyForTheOwner(t, backup)
	// A backup that lacks a file is told from a whole one.
	files, err := filepath.Glob(filepath.Join(backup, "clickhouse", "data", "tieback", "conversions", "*", "data.bin"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := tieback(t, t.TempDir(), "", "restore", backup); code == 0 {
		t.Errorf("a backup without a file was restored: %s", stderr)
	}
}
