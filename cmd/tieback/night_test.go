package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWhyYesterdayChanged publishes a day, lets rows come late, and asks what they
// changed: before the run, after it, and of the table.
func TestWhyYesterdayChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := `{"type":"event","customerId":"c1","eventId":"e1","apiName":"bought","from":1780000000000,"to":null}
{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"b","occurredAt":1790000300000}
{"type":"conversion","customerId":"c1","apiName":"bought","userDomain":"crm","userId":"1","actionId":"1","actionTimestamp":1790000400000,"receivedAt":1790003000000,"value":149.99}`
	late := `{"type":"identify","customerId":"c1","visitorId":"v1","userDomain":"crm","userId":"1","occurredAt":1790000310000}
{"type":"view","customerId":"c1","visitorId":"v2","optimizationId":"o1","variationId":"a","occurredAt":1790000300000}`
	if _, stderr, code := tieback(t, dir, first, "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	if got := must(t, dir, "run"); !strings.Contains(got, "full, cutoff") || strings.Contains(got, "changed in days") {
		t.Errorf("the first run says %s", got)
	}
	if got := must(t, dir, "status", "--changes"); !strings.Contains(got, "changed no figure") || !strings.Contains(got, "computed because of a full run: 1 day,") {
		t.Errorf("status says %s", got)
	}
	if _, stderr, code := tieback(t, dir, late, "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	outcome := func() string {
		return must(t, dir, "sql", "select outcome from conversion_outcomes", "--format", "TSV")
	}
	dry := must(t, dir, "run", "--dry-run")
	for _, want := range []string{"1 day and", "nothing was published", "0 → 149.99", "0 → 1", "identities"} {
		if !strings.Contains(dry, want) {
			t.Errorf("a dry run does not say %q:\n%s", want, dry)
		}
	}
	if got := outcome(); got != "no_identity" {
		t.Errorf("a dry run published %s", got)
	}
	if got := must(t, dir, "run"); !strings.Contains(got, "incremental, cutoff") || !strings.Contains(got, "0 → 149.99") {
		t.Errorf("the run says %s", got)
	}
	if got := outcome(); got != "attributed" {
		t.Errorf("the outcome is %s", got)
	}
	if got := must(t, dir, "status"); !strings.Contains(got, "changed 2 figures") || !strings.Contains(got, "slowest steps") || !strings.Contains(got, "dry-run") {
		t.Errorf("status says %s", got)
	}
	got := must(t, dir, "sql", `select variation_id, event_id, visitors_before, visitors_after, conversions_before, conversions_after, value_after, has(causes, 'identity')
		from run_changes where run_id = (select max(run_id) from runs) order by all`, "--format", "TSV")
	if got != "a\t\t0\t1\t0\t0\t0\t1\nb\te1\t0\t0\t0\t1\t149.99\t1" {
		t.Errorf("run_changes holds %q", got)
	}
	before := must(t, dir, "sql", "select * except (inserted_at) from (select *, now() as inserted_at from attributions)")
	if got := must(t, dir, "run", "--full"); !strings.Contains(got, "full, cutoff") {
		t.Errorf("--full says %s", got)
	}
	if after := must(t, dir, "sql", "select * except (inserted_at) from (select *, now() as inserted_at from attributions)"); after != before {
		t.Errorf("a full run gives\n%s\nafter\n%s", after, before)
	}
}

// TestRowsDeletedByHand deletes raw rows as an operator would: the next run notices.
func TestRowsDeletedByHand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := `{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"b","occurredAt":1790000300000}
{"type":"view","customerId":"c1","visitorId":"v2","optimizationId":"o1","variationId":"b","occurredAt":1790000300000}`
	if _, stderr, code := tieback(t, dir, lines, "import", "-"); code != 0 {
		t.Fatal(stderr)
	}
	must(t, dir, "run")
	must(t, dir, "sql", "alter table client_events delete where visitor_id = 'v2' settings mutations_sync = 1")
	must(t, dir, "run")
	if got := must(t, dir, "sql", "select visitor_id from sessions", "--format", "TSV"); got != "v1" {
		t.Errorf("sessions of %q are published", got)
	}
}

// TestRunInterrupted stops a run with ^C: it ends soon, says so, and leaves what was
// published; the next one does the work.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "sql", `insert into client_events (customer_id, visitor_id, type, occurred_at, received_at, ingest_id)
		select 'c1', toString(number % 100000), 'activity', toDateTime64('2026-09-01 00:00:00', 3, 'UTC') + toIntervalSecond(intDiv(number, 10)) as at, at, generateUUIDv7(number)
		from numbers(3000000)`)
	cmd := command(dir, "run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	underWay := func() bool {
		return must(t, dir, "sql", "select count() from runs where state = 'running'", "--format", "TSV") == "1"
	}
	if !becomes(time.Minute, underWay) {
		t.Error("the run does not begin")
	}
	_ = cmd.Process.Signal(os.Interrupt)
	started := time.Now()
	err := cmd.Wait()
	if time.Since(started) > 10*time.Second {
		t.Errorf("it ended %s after ^C", time.Since(started))
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); err == nil || ok && status.Signaled() {
		t.Errorf("it ended with %v", err)
	}
	if got := must(t, dir, "run"); !strings.Contains(got, " 4 days and") {
		t.Errorf("the next run says %s", got)
	}
	if got := must(t, dir, "sql", "select sum(events) from sessions", "--format", "TSV"); got != "3000000" {
		t.Errorf("%s events are in sessions", got)
	}
}
