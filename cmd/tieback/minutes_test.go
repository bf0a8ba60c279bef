package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A running service notes what it does, for dashboards and alerts.
func TestServiceMinutes(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--note-every", "100ms")
	s.token = configure(t, dir)
	if status, answer := s.post("/event", seedBody("1", 0)); status != 200 {
		t.Fatal(answer)
	}
	if status, _ := s.post("/event", "{}"); status != 400 {
		t.Fatal(status)
	}
	const query = `select sum(conversions), sum(rejected), sum(inserted_rows), sum(insert_batches), max(durable_seconds) > 0, max(active_parts) > 0, max(bytes_on_disk) > 0,
		argMax(spool_bytes, at) from service_minutes`
	deadline := time.Now().Add(2 * time.Minute)
	for got := ""; got != "1\t1\t1\t1\t1\t1\t1\t0"; {
		if time.Now().After(deadline) {
			t.Fatalf("service_minutes says %q", got)
		}
		got = must(t, dir, "sql", query, "--format", "TSV")
	}
	s.stop()
}

// The night waits until other services that share ClickHouse report that what they accepted before midnight is in it.
func TestNightWaitsForOtherServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, dir, "account", "add", "c1")
	yesterday := time.Now().Add(-36 * time.Hour).UnixMilli()
	line := fmt.Sprintf(`{"type":"view","customerId":"c1","visitorId":"v1","optimizationId":"o1","variationId":"a","occurredAt":%d}`, yesterday)
	if _, said, code := tieback(t, dir, line, "import", "-"); code != 0 {
		t.Fatal(said)
	}
	reports := func(waiting int) {
		t.Helper()
		must(t, dir, "sql", fmt.Sprintf("insert into service_minutes (at, service, spool_oldest_seconds) values (now64(3), 'another', %d)", waiting))
	}
	published := func() string {
		return must(t, dir, "sql", "select count() from runs where state = 'done'", "--format", "TSV")
	}
	reports(86400)
	s := serve(t, dir, "--listen", "127.0.0.1:0")
	for range 20 {
		if got := published(); got != "0" {
			t.Fatalf("%s runs were done while another service still had events", got)
		}
	}
	reports(0)
	for published() == "0" {
	}
	s.stop()
	// Doctor knows of services that have stopped with events in their spools.
	must(t, dir, "sql", "insert into service_minutes (at, service, host, spool_oldest_seconds) values (now64(3) - 3600, 'lost', 'shop-7', 60)")
	if got := must(t, dir, "doctor"); !strings.Contains(got, "silent: one on shop-7 since ") || !strings.Contains(got, "start `tieback serve` on its data folder again") || !strings.Contains(got, "locks are files") {
		t.Error(got)
	}
}
