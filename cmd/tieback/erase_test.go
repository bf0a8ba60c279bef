package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// holding returns the files of a folder that have a text in them.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // gone meanwhile, or no file
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(text)) {
			files = append(files, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readable lets a search through the files of ClickHouse see what they hold: nothing is compressed, and
// parts that were replaced go at once.
func readable(t *testing.T, dir string) {
	t.Helper()
	const tables = "('client_events', 'conversions', 'adjustments', 'identifies', 'sessions_versions', 'exposures_versions', 'entries_versions', 'decisions_versions')"
	statements := must(t, dir, "sql", `select 'alter table ' || table || arrayJoin([
			' modify setting old_parts_lifetime = 1, cleanup_delay_period = 1, cleanup_delay_period_random_add = 0, max_cleanup_delay_period = 1, compress_primary_key = 0',
			arrayStringConcat(groupArray(' modify column ' || char(96) || name || char(96) || ' codec(NONE)'), ',')])
		from system.columns where database = 'tieback' and table in `+tables+` and type like '%String%' group by table`, "--format", "TSVRaw")
	for _, statement := range strings.Split(statements, "\n") {
		must(t, dir, "sql", statement)
	}
}

// TestErasedIsGone: a person with two devices and a user id that another device shares. No file of the data folder has the ids
// afterwards, and the figures of others stay.
func TestErasedIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0")
	readable(t, dir)
	s.stop() // for ClickHouse to clean up by these settings
	engineIsGone(t, dir)
	s = serve(t, dir, "--listen", "127.0.0.1:0")
	s.token = configure(t, dir)
	const user, phone, laptop = "person-7c1f", "phone-7c1f", "laptop-7c1f"
	now := time.Now()
	collect := func(visitor, userID string, ago time.Duration) {
		t.Helper()
		at := now.Add(-ago).UnixMilli()
		identify := ""
		if userID != "" {
			identify = fmt.Sprintf(`,{"type":"identify","userDomain":"salesforce","userId":%q,"occurredAt":%d}`, userID, at+1)
		}
		status, answer := s.post("/collect", fmt.Sprintf(`{"customerId":"123456789","visitorId":%q,"sentAt":%d,"events":[{"type":"view","optimizationId":"hero","variationId":"b","occurredAt":%d}%s]}`, visitor, now.UnixMilli(), at, identify))
		if status != 204 {
			t.Fatal(status, answer)
		}
	}
	post := func(userID, action string) {
		t.Helper()
		body := strings.Replace(seedBody(action, 0), "72349876", userID, 1)
		if status, answer := s.post("/event", body); status != 200 {
			t.Fatal(status, answer)
		}
	}
	collect(phone, user, 10*time.Minute)
	collect(laptop, user, 26*time.Hour)
	collect("office", user, 5*time.Minute)
	collect("office", "colleague", 4*time.Minute)
	collect("stranger", "stranger-user", 3*time.Minute)
	for _, id := range []string{user, "colleague", "stranger-user"} {
		post(id, "of-"+id)
	}
	if status, answer := s.post("/adjustment", fmt.Sprintf(`{customerId: "123456789", apiName: "application-accepted", actionId: "of-%s", adjustment: "restate", value: 5}`, user)); status != 200 {
		t.Fatal(answer)
	}
	letters := fmt.Sprintf(`{"at":"2026-01-01T00:00:00Z","table":"conversions","reason":"bad","row":{"CustomerID":"123456789","UserDomain":"salesforce","UserID":%q}}`+"\n"+
		`{"at":"2026-01-01T00:00:00Z","table":"conversions","reason":"bad","row":{"CustomerID":"123456789","UserDomain":"salesforce","UserID":"colleague"}}`+"\n"+
		`{"at":"2026-01-01T00:00:00Z","table":"client_events","reason":"bad","row":{"CustomerID":"123456789","VisitorID":%q,"Type":"view"}}`+"\n"+
		`{"at":"2026-01-01T00:00:00Z","table":"adjustments","reason":"bad","row":{"CustomerID":"123456789","APIName":"application-accepted","ActionID":"of-%s"}}`+"\n", user, phone, user)
	if err := os.WriteFile(filepath.Join(dir, backupLetters), []byte(letters), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, dir, "run", "--cutoff", "now")
	collect(phone, user, 0) // received after the cutoff
	others := func() string {
		return must(t, dir, "sql", "select * from attributions where user_id in ('colleague', 'stranger-user') order by all", "--format", "TSV")
	}
	before := others()
	for _, id := range []string{user, phone, laptop} {
		found := strings.Join(holding(t, dir, id), " ")
		for _, want := range []string{"clickhouse/", "spool/"} {
			if !strings.Contains(found, want) {
				t.Errorf("before, no file of %s has %s: %s", want, id, found)
			}
		}
	}
	planned := must(t, dir, "erase", "123456789", "--user", "salesforce", user, "--dry-run")
	for _, want := range []string{"would delete 7 client events (everything of 2 visitors), 1 conversion, 1 adjustment and 3 links, on", "hero", "4 → 2", "3 → 2", "304.98 → 299.98"} {
		if !strings.Contains(planned, want) {
			t.Errorf("the plan does not say %q:\n%s", want, planned)
		}
	}
	done := must(t, dir, "erase", "123456789", "--user", "salesforce", user)
	if !strings.Contains(done, "deleted 7 client events") || !strings.Contains(done, "an erasure") || strings.Contains(done, user) {
		t.Errorf("done: %s", done)
	}
	if after := others(); after != before {
		t.Errorf("what is said of others changed from\n%s\nto\n%s", before, after)
	}
	prints := fingerprints(t, dir)
	must(t, dir, "run", "--full")
	if rebuilt := fingerprints(t, dir); rebuilt != prints {
		t.Errorf("a rebuild gives\n%s\nand not\n%s", rebuilt, prints)
	}
	if changes := must(t, dir, "sql", "select change from catalog_changes where change like '%erased%'", "--format", "TSV"); !strings.HasPrefix(changes, "a person was erased: 7 client events") {
		t.Errorf("noted is %q", changes)
	}
	if again := must(t, dir, "erase", "123456789", "--user", "salesforce", user); !strings.Contains(again, "nothing is known of this person") {
		t.Error(again)
	}
	s.awaitNoOldParts(t)
	for _, id := range []string{user, phone, laptop} {
		if files := holding(t, dir, id); len(files) > 0 {
			t.Errorf("%s is left in %v", id, files)
		}
	}
	if files := holding(t, dir, "colleague"); !strings.Contains(strings.Join(files, " "), backupLetters) {
		t.Errorf("the dead letter of another person is gone: %v", files)
	}
	// The service goes on with the spool that was wiped, also after a crash.
	post("colleague", "later")
	s.kill()
	s = serve(t, dir, "--listen", "127.0.0.1:0")
	must(t, dir, "run", "--cutoff", "now")
	if got := must(t, dir, "sql", "select count(), countIf(action_id = 'later') from conversions", "--format", "TSV"); got != "3\t1" {
		t.Errorf("conversions %s", got)
	}
	if aside := holding(t, filepath.Join(dir, "spool"), ""); strings.Contains(strings.Join(aside, " "), "quarantine") {
		t.Errorf("the spool put bytes aside: %v", aside)
	}
	for _, wrong := range []string{"", "--visitor v --user a b", "--user a"} {
		if _, _, code := tieback(t, dir, "", append([]string{"erase", "123456789"}, strings.Fields(wrong)...)...); code != 2 {
			t.Errorf("erase %s: exit %d", wrong, code)
		}
	}
	s.stop()
}

// awaitNoOldParts waits until ClickHouse has deleted the parts of what was received that were replaced. Of the published tables it
// deletes them at once.
func (s *running) awaitNoOldParts(t *testing.T) {
	t.Helper()
	left := ""
	for range 600 {
		if left = must(t, s.dataDir, "sql", "select table, name, refcount, removal_state from system.parts where not active and table in ('client_events', 'conversions', 'adjustments', 'identifies')", "--format", "TSV"); left == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("old parts are left:\n%s", left)
}
