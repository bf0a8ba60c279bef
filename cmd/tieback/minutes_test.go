package main

import (
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
